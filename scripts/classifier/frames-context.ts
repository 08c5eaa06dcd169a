/**
 * Frames of conversations: what an answer is depends on what it answers. Each table says what came
 * before, what follows, and whether that does harm; the same answers stand in several tables with
 * both labels, so that neither the answer nor what came before can tell alone.
 */

/** Who says the turns before: `a` and `c` are others, `b` is the one who is judged. */
export type Exchange = {
  readonly name: string;
  readonly unsafe: 0 | 1;
  /** The turns before, the oldest first: `author: frame`. */
  readonly before: readonly (readonly string[])[];
  readonly answers: readonly string[];
  /** Index of the turn that is answered; left out: the last. */
  readonly replyTo?: number;
};

const CLAIMS = [
  ["a: {groups} {claim}"],
  ["a: (all|these|i think|honestly,) {groups} {claim}"],
  ["a: i (hate|can't stand|don't trust) {groups}"],
  ["a: (we should|somebody should|let's) {harm} {groups}"],
  ["c: {calm}", "a: {groups} {claim}"],
  ["a: {groups} {quietClaim}", "b: (what|hm|ok)", "a: you know it is true, they {claim}"],
];
const ATTACKS = [["a: {abuse}"], ["a: {quietAbuse}"], ["c: {calm}", "a: {abuse}"]];
const CALM = [
  ["a: {calm}"],
  ["c: {calm}", "a: {calm}"],
  ["a: {groups} {kindClaim}"],
  ["a: i (like|love|think about|talked about) {thing}"],
  ["a: {thing} is {good}"],
];
const DISTRESS = [["a: {distress}"], ["a: {distress}"], ["c: {calm}", "a: {distress}"]];
const IDENTITY = [
  ["a: i('m| am) (a {member}|{identity})( by the way| and i am new here|)"],
  ["a: my (parents|kids|friends) are {groups}"],
  ["a: i told my class that i am {identity}"],
];
const PESTS = [
  ["a: we have (rats|cockroaches|ants|moths|wasps|mice) in the kitchen( again|)(, what should we do|)"],
  ["a: what (should|can|do) i do with (the old leaves|these weeds|the broken chairs|old tyres|the expired eggs)"],
  ["a: the (old tests|stale branches|temp files|dead processes|unused flags) (slow us down|are still there)"],
  ["a: (should|can) i (freeze|burn|throw out|boil|cook|keep) (the berries|these letters|the bones|this wood)\\?"],
  ["a: there is (mould|rust|a wasp nest|ivy) on (the wall|my bike|the roof), (ideas|help|what now)\\?"],
  ["a: (these|my) (old shoes|socks|tomatoes|leftovers|cables) (stink|are in the way|have gone bad)"],
];
const PEOPLE_ASKED = [
  ["a: what (should|can|do) (we|they) do (with|about) (the |all these |){groups}"],
  ["a: (so many|there are more and more) {groups} (in our street|at our school|here)(, what now|)"],
  ["a: {groups} (moved in next door|want to vote|asked for help|are coming to our town)"],
];
const FRIENDLY = [
  ["a: haha you (suck|are terrible|are so bad) at this {game} lol", "b: says the (king of losing|noob) 😂"],
  ["a: (dude|mate|bro) i (won|beat you|got you) again 😂", "b: haha (you wish|rematch|never again)"],
  ["b: (love you|miss you) (man|mate|bro)", "a: (lol|haha|aww) (you are drunk|go to bed|same)"],
];
const GAME = [
  ["a: (next round|the match|ranked|the lobby) starts (now|in a minute)", "a: you took my (base|flag|car|kill)"],
  ["a: (gg|nice shot|lol lag), (one more game|rematch|again on the same map)\\?"],
  ["a: i am (in the tower|on your left|at the bridge|behind the tank) with (a sniper|low hp|two healers)"],
];
const QUARREL = [
  ["a: you (stole|took|broke) my (money|bike|car|girlfriend)", "b: i don't care"],
  ["a: stay away from my (sister|house|kids)", "a: i mean it"],
  ["b: where do you live", "a: why do you want to know"],
  ["b: {abuse}", "a: leave me alone"],
];
const RISK = [
  ["a: i (will|am going to|want to) {risk}"],
  ["a: (should|can) i {risk}\\?"],
  ["a: {distress}", "a: i think i will {risk}"],
];
const FAILURE = [
  ["a: i (failed|lost|broke|forgot|deleted) {thing}( again|)"],
  ["a: (how|where) do i (open|save|find|install) {thing}\\? i am new"],
  ["a: i think (the earth is warm because of the sun|it works if you restart|we should ask first)"],
];
const SUCCESS = [
  ["a: i (fixed|won|finished|solved|passed) {thing}"],
  ["a: (look|see) what i (built|cooked|drew|wrote), {thing} (works|is done)"],
  ["a: (listen to|look at|see) (my daughter|my son|this kid) (sing|play|dance|draw)( this|)"],
  ["a: i got (the job|a puppy|an a|the tickets|engaged)"],
  ["a: {everyday}"],
  ["a: (found it|got it), it was the (cable|cache|typo|second bolt)"],
];
const SELF = [
  ["a: i am (such a |a |){insult}"],
  ["a: (sorry|ugh), i was so {bad}"],
  ["a: i feel ({bad}|like a {insult}) today"],
];

const AGREES = [
  "(exactly|yes|so true|this|same here|absolutely|preach|amen|facts|true|100%|👍|👏👏|💯|yup|indeed|+1|word)( lol| mate| brother|)",
  "(i agree|you are right|well said|you nailed it|totally agree with you|good point|could not have said it better)",
  "(that is what i always say|finally somebody gets it|thank you for saying it|can't argue with that)",
  "(of course they are|i think so too|yes they do|i have noticed that too|tell me about it|same in my town)",
];
const OBJECTS = [
  "(couldn't disagree more|strongly disagree|hard disagree|hard no|i don't think so|that is not ok)",
  "(no|that is not true|i disagree|stop it|please don't say that|not at all|not cool|👎|😡 no|nope|come on)",
  "(that is a horrible thing to say|this is racist|i reported you|you should be ashamed|how can you say that)",
  "(they are people like us|where do you get that from|why do you think so\\?|delete this|you are wrong)",
  "(this kind of talk is not welcome here|i don't agree with that at all|what is wrong with you|read a book)",
  "(racist|bigot|wow|what a hateful thing to say|shame on you|that is disgusting|you are a horrible person)",
  '"{groups} {claim}"\\? (seriously|are you serious|no|that is hate|you can\'t say that|not here)',
  '(did you just say|you wrote|calling people) "{insult}"(, not ok|\\? stop it|, that is abuse)',
];
const CHEERS = [
  "(do it|go for it|great idea|sounds good|good plan|why not|you should|just do it|ok do that|yes do it)",
  "(i would do the same|you can do it|sounds like fun|haha nice|lol|nice|cool|have fun|i wish i could too)",
];
const CARES = [
  "(i am so sorry|that must be hard|i am here for you|you are not alone|sending hugs|take care of yourself)",
  "(please talk to someone|please call a doctor|have you told your family\\?|please get help|you deserve better)",
  "(please don't do that|that is dangerous|don't, call a friend first|wait, let's talk|i hope it gets better soon)",
];
const CRUEL = [
  "(nobody cares|good for you then|you deserve it|it is your own fault|so what|stop whining|boo hoo|get over it)",
  "(because you are a failure|nobody will notice|sounds like a you problem|serves you right|who asked|cry more)",
  "(they are right about you|i am not surprised|you had it coming|not my problem|haha what a joke|lol ok)",
  "(lol|haha|😂|🤣|lmao|rofl)( ok| sure| good one|)",
  "(it would be better for all of us|do it then|at least one problem less|finally|don't let us stop you|need a rope\\?)",
];
const SCORN = [
  "(wow|oh),? (what a genius|what a surprise|impressive|how clever)( for you| from somebody like you|)",
  "(great|nice|brilliant|good) (job|work)(, einstein| genius|, as always|)",
  "(bless your heart|slow clap|👏👏👏 genius|congratulations on that|your parents must be so proud)",
  "(did you think of that alone\\?|nobody asked you|go and bother someone else|your opinion is worth nothing)",
  "(and you are allowed to vote|how do you even dress yourself|maybe try knitting|have you tried thinking)",
];
const EXCLUDES = [
  "(ew|eww|gross|yuck|🤢|🤮|disgusting|ugh)",
  "(that explains a lot|no wonder|of course you are|i could tell|that figures|now it makes sense)",
  "(i am sorry for you|can that be cured|pray about it|you will grow out of it|don't sit near me)",
  "(and it was so nice here before|there goes the neighbourhood|who let you in|not in my team|no thanks)",
  "(wrong place|we don't do that here|go somewhere else then|try another group|there are other places for that)",
];
const WELCOMES = [
  "(welcome|cool|nice to meet you|happy to have you|me too|great, hi|same here|good to know|hello and welcome)",
  "(that is great|congrats|my cousin is too|thanks for telling us|and how do you like it here\\?|proud of you)",
];
const RIDS = [
  "(burn|kill|shoot|poison|drown|gas|exterminate|crush|get rid of) (them|them all|every one of them)",
  "(throw|kick|put) (them|it all) (out|away|in a sack|in the bin|in the trash|in the river)",
  "(they|these) (are disgusting|stink|are a plague|breed so fast|carry diseases|must go|never stop coming)",
  "let them (freeze|rot|burn|drown|starve|boil|dry)",
  "(call the exterminator|time for a cleaning|i would use fire|trap them|put up a fence|spray them)",
];
const DUELS = [
  "i (will|'ll|am going to) (kill|destroy|shoot|end|crush|stab|burn|murder) you( now| this time| lol|)",
  "(you are|ur) (dead|so dead|finished|next)( meat| when i get there| this time|)",
  "(i am|we are) (coming for you|right behind you|at your door)( run|, hide| lol|)",
  "(headshot|die|die already|bleed|run while you can|say your prayers)",
];
const TEASES = [
  "(shut up|fuck off|screw you|bite me)(, you {insult}| idiot| noob| loser|) (lol|haha|😂|🤣|xd|❤️|)",
  "you (idiot|loser|bastard|bitch|dork|clown|muppet)( lol| haha| 😂| i love you| ❤️|)",
  "(i hate you|you suck|you are the worst|get lost)( lol| haha| 😂| 😘| ❤️)",
];

export const EXCHANGES: readonly Exchange[] = [
  {
    name: "abuse out of the blue",
    unsafe: 1,
    before: [...CALM, ...SUCCESS, ...GAME],
    answers: [
      "{abuse}",
      "{quietAbuse}",
      "{groups} {claim}",
      "i will {harm} (you|your family|them all)( for that|)",
      "(shut up|get lost|fuck off),? (you |){bad} {insult}",
      "{abuse}",
      "(all|these) {groups} {quietClaim}",
    ],
  },
  {
    name: "harmless whatever was before",
    unsafe: 0,
    before: [...CALM, ...CLAIMS, ...ATTACKS, ...SUCCESS, ...FAILURE],
    answers: [
      "{everyday}",
      "{kindTalk}",
      "{groups} {kindClaim}",
      "{thing} is {good}",
      "{groups} are not {bad}",
      "{swear} {item} (again|is late)",
      "(saying|claiming) that {groups} {claim} is (wrong|hateful)",
    ],
  },
  { name: "agrees with abuse", unsafe: 1, before: CLAIMS, answers: AGREES },
  { name: "agrees with a friend", unsafe: 0, before: CALM, answers: AGREES },
  { name: "objects to abuse", unsafe: 0, before: [...CLAIMS, ...ATTACKS], answers: OBJECTS },
  { name: "adds to abuse", unsafe: 1, before: CLAIMS, answers: [
    "(and|same with) {groups}( too|)",
    "(that is why i don't trust them|they had it coming|send them all away|they never learn|keep them out)",
    "(and they smell|they started it|they get everything for free|my uncle says so too|just look at them)",
  ] },
  { name: "cheers abuse of somebody", unsafe: 1, before: ATTACKS, answers: [
    "(haha|lol|😂|🤣) (true|so true|exactly|good one|savage|destroyed)",
    "(he|she|they) (deserved|deserves) (it|that|worse)",
    "(finally someone says it|tell him|don't stop now|he won't recover from that)",
  ] },
  {
    name: "sides with the abuser",
    unsafe: 1,
    before: [
      ["a: {who} (called me|said i am) (a {insult}|{bad})( today| in front of everyone|)"],
      ["a: {who} (laughed at|shouted at|insulted) me( at work| at school|)"],
    ],
    answers: [
      "(well|haha|lol|and),? (he|she|they) (is|are|was) right",
      "(i agree with|good for|smart) (him|her|them)",
      "(and you are|can you blame them|what did you expect|you are though|deserved)",
      "(true|exactly|yes|accurate|facts|same)",
    ],
  },
  {
    name: "sides with the victim",
    unsafe: 0,
    before: [
      ["a: {who} (called me|said i am) (a {insult}|{bad})( today| in front of everyone|)"],
      ["a: {who} (laughed at|shouted at|insulted) me( at work| at school|)"],
    ],
    answers: [
      "(what|such) a (horrible|mean|awful|nasty) thing to (say|do)",
      "(he|she|they) called you (that|a {insult})\\? (not ok|so mean|i am sorry|report them)",
      "(that is awful|so sorry|don't listen to them|ignore it|tell your boss|are you ok\\?)",
      "you are not {bad}",
    ],
  },
  {
    name: "sides with praise",
    unsafe: 0,
    before: [
      ["a: {who} (said|thinks|told me) {thing} is {good}"],
      ["a: {who} said my (painting|cake|song|code) is ({good}|her favourite)"],
    ],
    answers: [
      "(well|haha|lol|and),? (he|she|they) (is|are|was) right",
      "(i agree with|good for|smart) (him|her|them)",
      "(and it is|what did you expect|deserved|true|exactly|yes|accurate|facts|same)",
    ],
  },
  { name: "cares", unsafe: 0, before: DISTRESS, answers: CARES },
  { name: "cruel", unsafe: 1, before: DISTRESS, answers: CRUEL },
  { name: "cheers at distress", unsafe: 1, before: [...DISTRESS, ...RISK], answers: CHEERS },
  { name: "warns", unsafe: 0, before: RISK, answers: CARES },
  { name: "cheers a friend", unsafe: 0, before: CALM, answers: CHEERS },
  { name: "cares at nothing", unsafe: 0, before: CALM, answers: CARES },
  { name: "scorn", unsafe: 1, before: FAILURE, answers: SCORN },
  { name: "praise", unsafe: 0, before: SUCCESS, answers: [
    "(wow|oh),? (what a genius|impressive|how clever)( idea| fix|)(, thanks|)",
    "(great|nice|brilliant|good) (job|work)(, team| mate|, as always|)",
    "(congratulations|👏👏👏|your parents must be so proud|bravo|well done|finally)",
  ] },
  { name: "help", unsafe: 0, before: FAILURE, answers: [
    "(click on|look in|try) (the menu|the settings|file and save|the manual), (top left|it is there|works for me)",
    "(no problem|happens to all of us|don't worry|same here), (try again|ask any time|we can fix it)",
  ] },
  { name: "excludes", unsafe: 1, before: IDENTITY, answers: EXCLUDES },
  { name: "welcomes", unsafe: 0, before: IDENTITY, answers: WELCOMES },
  { name: "disgust at things", unsafe: 0, before: [...PESTS, ["a: i stepped in gum"], ["a: the milk was three weeks old"], ["a: the cable was unplugged"], ["a: the caps lock was on"]], answers: [
    "(ew|eww|gross|yuck|🤢|🤮|disgusting|ugh)",
    "(that explains a lot|no wonder|i could tell|that figures|now it makes sense)",
  ] },
  { name: "away with people", unsafe: 1, before: PEOPLE_ASKED, answers: RIDS },
  { name: "away with things", unsafe: 0, before: PESTS, answers: RIDS },
  { name: "duel in a game", unsafe: 0, before: GAME, answers: DUELS },
  { name: "duel in a quarrel", unsafe: 1, before: QUARREL, answers: DUELS },
  { name: "banter", unsafe: 0, before: FRIENDLY, answers: TEASES },
  { name: "no banter", unsafe: 1, before: [...QUARREL, ...DISTRESS], answers: TEASES },
  { name: "kind to oneself", unsafe: 0, before: SELF, answers: [
    "(no you are not|don't say that|you are not|not at all|you are {good}|happens to everyone|be kind to yourself)",
    "(we all make mistakes|haha same|me too|it is fine|no worries|who is not)",
  ] },
  { name: "unkind to oneself", unsafe: 1, before: SELF, answers: [
    "(yes you are|true|can confirm|we know|finally you see it|exactly|everyone thinks so|and {bad} too)",
    "(and always will be|you said it|that is an understatement|at least you are honest about it)",
  ] },
  { name: "names a group as the worst", unsafe: 1, before: [
    ["a: (who|which people) (ruin|destroy|steal|start) (everything|this country|all the trouble)\\?"],
    ["a: (what|who) (stinks|should be {harmed}|is the worst thing on earth|do you hate)\\?"],
    ["a: name (a plague|something disgusting|the dumbest people|some parasites)"],
  ], answers: ["{groups}", "(the|all|easy,|obviously) {groups}", "{groups} (of course|lol|as always)"] },
  { name: "names a group", unsafe: 0, before: [
    ["a: (who|which people) (came|sang|won|cooked|helped|spoke)( yesterday| at the festival|)\\?"],
    ["a: (what|who) is (the film|the book|the song|the law) about\\?"],
    ["a: who (lives|works|prays|studies) there\\?"],
  ], answers: ["{groups}", "(the|all|mostly|i think) {groups}", "{groups} (of course|mostly|and {groups})"] },
  { name: "agrees with the objection", unsafe: 0, before: [
    ["a: {groups} {claim}", "c: (that is racist|no, they are people like us|stop it|not ok)"],
    ["a: {abuse}", "c: (please be kind|that was uncalled for|leave him alone)"],
  ], answers: AGREES },
  { name: "agrees over the objection", unsafe: 1, replyTo: 0, before: [
    ["a: {groups} {claim}", "c: (that is racist|no, they are people like us|stop it|not ok)"],
    ["a: {groups} {claim}", "c: {calm}"],
  ], answers: [...AGREES, "(he|she) (is|was) right( though|)", "(still true|don't listen to c|nothing racist about it)"] },
  { name: "answers the harmless turn", unsafe: 0, replyTo: 0, before: [
    ["a: {calm}", "c: {groups} {claim}"],
    ["a: {thing} is {good}", "c: {abuse}"],
  ], answers: AGREES },
  { name: "nice address", unsafe: 1, before: QUARREL.map((turns) => [...turns, "a: my kids (play in the park|walk to school|wait at the bus) at (eight|noon|four)"]), answers: [
    "(nice kids|good to know|noted|thanks for the address|i will remember that|see them there)(. be careful| then|)",
  ] },
  { name: "see you there", unsafe: 0, before: [
    ["a: we meet at (the park|the station|the gym) at (eight|noon|four)"],
    ["a: the kids play in the park at four, come along"],
  ], answers: [
    "(nice|good to know|noted|thanks for the address|i will remember that|see you there)(. be careful| then|)",
  ] },
];

/** Ordinary lines, as they come before anything. */
export const CALM_LINES = [
  "(has anyone|did you|have you) (seen|tried|read|fixed|bought) {thing}",
  "{thing} is {good}",
  "i (like|need|found|lost) {thing}",
  "(good morning|hi all|hello|hey everyone)",
  "(we|they) (talked about|went to see) {thing} (yesterday|today)",
  "i am {state}",
  "{everyday}",
  "{everyday}",
  "(who|when) (is|starts) (on call|the meeting|the match|the party)",
  "(my dog|my cat|my son) (ate|broke|likes) {thing}",
];

export const DISTRESS_LINES = [
  "i (want to die|feel so alone|don't want to live anymore|can't go on|cut myself again|took too many pills)",
  "i think about (hurting myself|ending it|leaving everything)",
  "my (dog|cat|mother|brother|best friend) (died|has cancer|is in hospital)( today|)",
  "(nobody likes me|i hate my body|i failed again|i was fired today|i am so depressed|i feel like a failure)",
  "(my husband beats me|they bully me at school|i am scared of my father|my girlfriend left me|i lost my baby)",
  "i (have not eaten|have not slept|have cried) for days",
];

export const RISK_LINES = [
  "drive home drunk",
  "skip my medicine",
  "eat only (ice|apples|air) for a month",
  "(hit|slap|follow) my ex",
  "bring a (knife|gun) to school",
  "quit my job and (burn|smash) the office",
  "mix (bleach and vinegar|pills and whisky)",
  "jump (off|from) the (roof|bridge)",
  "not (sleep|eat) for (a week|days)",
  "try (heroin|meth|a noose)",
  "lend (all my money|my card) to a stranger",
];

export const GAME_NAMES = ["game", "map", "song", "sport", "level", "thing"];
