/**
 * Phrases that the frames of the grammar are built of. `{name}` is filled from a list of words or of
 * phrases, `(a|b)` is one of both, and either may stand inside the other.
 */
import { EVERYDAY } from "./frames-wider.ts";
import { CALM_LINES, DISTRESS_LINES, GAME_NAMES, RISK_LINES } from "./frames-context.ts";

/** What is said of a group, after its name: words of abuse among it. */
const claim = [
  "are {bad}",
  "are (so|just|all|simply|always|really|truly) {bad}",
  "are {slander}",
  "are (all|just|mostly|nothing but|a bunch of|basically) {slander}",
  "are {dehuman}",
  "are (no better than|nothing but|worse than|like|just) {dehuman}",
  "should (all |)be {harmed}",
  "(need|have|deserve|ought) to be {harmed}",
  "make me (sick|vomit|puke|want to throw up)",
  "(are|were) born {bad}",
  "(can't|cannot) be trusted",
  "{quietClaim}",
];

/** The same without a bad word: places, rights, worth. */
const quietClaim = [
  "(do not|don't) belong (here|in this country|in our schools|among us|in our town|on this site)",
  "should (all |)(go home|go back to where they came from|leave|know their place|stay away from us)",
  "should (not|never) (be allowed to|have the right to) (vote|marry|have children|own land|teach|work here)",
  "should (not|never) have (rights|been let in|been born|a say)",
  "(are not|aren't) (real people|like us|human|equal to us|welcome here|fit to live here|really people)",
  "(will never|can never|could never) be (like us|our equals|real citizens|one of us|normal)",
  "(are|will always be) (less than us|second class|beneath us|a lower form of life|below us)",
  "(are|have become) the (reason for all our problems|downfall of this country|ruin of our schools)",
  "(ruin|destroy|poison|take over|infest) (this country|our culture|our neighbourhood|everything we built)",
  "(take|steal) (our jobs|our homes|our women|what is ours)",
  "(breed|multiply|spread) (like crazy|faster than us|everywhere|and take over)",
  "only (want|care about) (our money|free housing|our benefits|themselves)",
  "(have|were born with) (no brains|no morals|no souls|no honour|smaller brains)",
  "(can't|cannot|will never) (think|learn|drive|lead|be civilised|control themselves)",
  "(belong|should stay) in (the kitchen|the jungle|a cage|the trash|a zoo|camps|their own country)",
  "(deserve|have earned) (everything that happens to them|what is coming|to suffer|no respect|no mercy)",
  "are (not worth|worth less than) (the air they breathe|a dog|saving|a single tear)",
  "are (an insult to nature|against nature|the enemy|not natural|a threat to our children)",
  "had it coming",
  "(get|have) too many rights",
  "should be (grateful that we let them live|kept away from children|kept apart from us)",
  "(would|will) be gone if it were up to me",
];

/** Praise or plain facts of a group, built like the claims. */
const kindClaim = [
  "are {good}",
  "are (so|just|all|simply|always|really|truly) {good}",
  "are (people like you and me|my neighbours|our friends|part of this town|human beings|equal)",
  "should (all |)be (treated fairly|respected|heard|protected|included|welcomed|free|paid the same)",
  "(deserve|have) (respect|rights|equal pay|a say|dignity|safety|the same chances)",
  "belong (here|in this country|in our schools|among us|in our team|to this city)",
  "should (be allowed to|have the right to) (vote|marry|have children|teach|work here|be happy)",
  "(enrich|strengthen|built|help) (this country|our culture|our neighbourhood|our team)",
  "make me (smile|happy|proud|laugh)",
  "(are|feel) welcome here",
  "(live|work|study|pray|cook|vote|celebrate) (here|in our town|next door|with us|every day)",
  "(moved|came) (here|to our street|to this town) (last year|in spring|long ago)",
  "have (a right to be here|a long history|their own songs|great food|a festival this week)",
  "will never be (silenced|forgotten|alone|second class to me)",
  "(can|could) (learn|drive|lead|think|teach) as well as anyone",
  "(face|suffer from|fight) (prejudice|discrimination|hate|poverty|unfair laws)",
];

/** Abuse told to somebody's face. */
const abuse = [
  "you are (a|such a|nothing but a|the biggest|a total|an absolute) {insult}",
  "you('re| are) (so|really|just|very|too|fucking) {bad}",
  "you {bad} {insult}",
  "you (fucking|bloody|little|damn|stupid) {insult}",
  "shut (up|it|your mouth),? (you |){insult}",
  "(fuck|screw|damn) you",
  "go to hell(,? {insult}|)",
  "what a {bad} {insult} you are",
  "(get lost|piss off|fuck off|drop dead|beat it),? {insult}",
  "only a {insult} (like you |)(would say that|talks like this|thinks so|writes such things)",
  "your (mother|whole family|face|brain|opinion) is {bad}",
  "(nobody|no one) (likes|wants|needs) you",
  "i hate you(,? {insult}|)",
  "you make me sick",
  "{groups} {claim}",
  "all {groups} {claim}",
];

/** Contempt without a bad word, told to somebody's face. */
const quietAbuse = [
  "(nobody|no one|not a single person) (likes|wants|needs|respects|cares about|will ever love|would miss) you",
  "(nobody|no one) (wants|asked for|cares about|needs) (you here|your opinion|your kind|what you think)",
  "you (are|were) (a waste of (space|air|time|oxygen)|not worth (the effort|my time|anything))",
  "you (should|must) (not exist|never have been born|just disappear|crawl back into your hole)",
  "you are (the reason people leave|the worst thing that happened to this (team|place|family))",
  "your (parents|mother|teachers|children) must be (ashamed|so disappointed|embarrassed) (of you|by you)",
  "(the world|everyone|this place|the team) would be better (off |)without you",
  "(do|did) (the world|us all|everyone) a favour and (disappear|leave|stop talking|never come back)",
  "you (do not|don't) belong (here|anywhere|with us|among decent people)",
  "you will (never|not) (amount to anything|be good enough|be loved|be a real (man|woman)|be one of us)",
  "i have met (doors|rocks|houseplants|goldfish) with more (brains|charm|sense) than you",
  "even a (child|dog|rock|toaster|potato) (is smarter than|could do better than|has more sense than) you",
  "(with a face|with a brain|with skills|with manners) like yours i would (hide|stay home|keep quiet)",
  "(your kind|people like you|someone like you|your sort) (should|must) (stay away|keep quiet|leave|not breed)",
  "(your kind|people like you|your sort) (is|are) (not wanted here|the problem|what is wrong with the world)",
  "we (do not|don't) (serve|want|need|talk to) (your kind|people like you|your sort)",
  "(is|was) there (anything|a thing) in that (head|skull) of yours",
  "(god|nature|evolution) (made a mistake with|gave up on|was drunk when it made) you",
  "i (hope|pray|wish) (you fail|you lose everything|bad things happen to you|you never find happiness)",
  "you (disgust|sicken|repulse) me",
  "(everyone|the whole office|the whole class) (laughs at|is tired of|avoids|makes fun of) you",
  "i would be ashamed to be you",
];

/** Said like contempt, and friendly. */
const kindTalk = [
  "(everybody|everyone|the whole team) (likes|wants|needs|respects|cares about|would miss) you",
  "(everybody|everyone) (asked for|cares about|needs|loves) (you here|your opinion|your help|what you think)",
  "you (are|were) (worth (the effort|my time|the wait)|not a waste of time at all)",
  "you (should|must) (come more often|never have to worry|just relax|take a break)",
  "you are (the reason people stay|the best thing that happened to this (team|place|family))",
  "your (parents|mother|teachers|children) must be (proud|so pleased) (of you|with you)",
  "(the world|this place|the team) would be (boring|worse|lost) without you",
  "(do|did) (me|us all|yourself) a favour and (rest|send the log|try the beta|come by on sunday)",
  "this file (does not|doesn't) belong (here|in this folder|in git|with the others)",
  "you will (always|surely) (be good enough|be loved|do well|be one of us|be a good doctor)",
  "i have met (many people|few people|nobody) with more (patience|charm|sense) than you",
  "even a (child|beginner) (could use|can install|understands) this",
  "(people like you|someone like you) (should|must) (teach|run for office|get a raise|be thanked)",
  "(people like you|your kind of help) (is|are) (welcome here|what the world needs|what we need)",
  "i (hope|pray|wish) (you win|you find it|good things happen to you|you feel better soon)",
  "(everyone|the whole class) (laughs with|is thankful to|looks up to) you",
  "nobody needs (this package|that config|a reboot for this), (remove|skip|ignore) it",
  "i would be proud to be you",
  "you are (doing|looking) (fine|well|great) today",
  "what do you think about {thing}",
];

const target = [
  "you",
  "you",
  "him",
  "her",
  "them",
  "all of you",
  "you all",
  "your (family|kids|mother|wife|husband|brother|friends)",
  "(those|these) (people|guys|men|women|politicians|reporters)",
  "every (one|last one) of (them|you)",
  "{groups}",
  "{groups}",
  "(that|this) {insult}",
  "the (president|mayor|judge|teacher|manager|referee)",
];

const self = ["i", "i", "i", "we"];

const opener = ["", "", "", "", "ok,? ", "well,? ", "honestly,? ", "lol ", "hey ", "so ", "look,? ", "sorry but "];

export const PHRASES: Readonly<Record<string, readonly string[]>> = {
  ...EVERYDAY,
  calm: CALM_LINES,
  distress: DISTRESS_LINES,
  risk: RISK_LINES,
  game: GAME_NAMES,
  claim,
  quietClaim,
  kindClaim,
  abuse,
  quietAbuse,
  kindTalk,
  target,
  self,
  opener,
};
