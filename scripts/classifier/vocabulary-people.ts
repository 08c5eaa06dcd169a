/**
 * Words that stand for people in the grammar: whom something may be said of. Each entry of a list
 * belongs to training or is held back, by its hash, see grammar.ts.
 */

/** Protected groups, in the plural. */
const groups = `muslims, jews, christians, catholics, hindus, sikhs, buddhists, atheists, mormons,
protestants, evangelicals, baptists, quakers, pagans, jehovah's witnesses, shias, sunnis, gays,
lesbians, bisexuals, trans people, transgender people, trans women, trans men, queer people,
nonbinary people, asexuals, homosexuals, drag queens, gay men, gay couples, women, men, girls,
mothers, single mothers, feminists, housewives, lesbian couples, black people, white people,
brown people, asians, africans, latinos, latinas, hispanics, arabs, mixed race people, aboriginals,
native americans, indigenous people, pacific islanders, black women, black men, asian women,
arab men, chinese people, japanese people, koreans, vietnamese people, filipinos, thais, indians,
pakistanis, bangladeshis, afghans, iranians, iraqis, syrians, turks, kurds, egyptians, moroccans,
algerians, somalis, nigerians, kenyans, ethiopians, ghanaians, south africans, sudanese people,
mexicans, guatemalans, hondurans, cubans, haitians, jamaicans, dominicans, puerto ricans,
colombians, venezuelans, brazilians, peruvians, russians, ukrainians, poles, romanians, bulgarians,
albanians, serbs, croats, bosnians, hungarians, czechs, greeks, italians, spaniards, portuguese,
the french, germans, dutch people, swedes, finns, the irish, scots, americans, canadians, israelis,
palestinians, lebanese people, jordanians, saudis, immigrants, migrants, refugees, asylum seekers,
foreigners, newcomers, foreign workers, illegal immigrants, travellers, roma people, gypsies,
disabled people, people with disabilities, wheelchair users, blind people, deaf people,
autistic people, people with down syndrome, dyslexics, mentally ill people, schizophrenics,
people with depression, dwarves, amputees, old people, elderly people, pensioners, boomers,
teenagers, millennials, young people, the poor, homeless people, minorities, people of colour,
hijabis, orthodox jews, muslim women, gay teenagers, immigrant children, refugee families`;

/** One member of a protected group, without an article. */
const member = `muslim, jew, christian, catholic, hindu, sikh, buddhist, atheist, mormon, protestant,
pagan, gay man, lesbian, bisexual, trans woman, trans man, trans person, transgender girl,
nonbinary person, queer woman, asexual man, homosexual, drag queen, woman, girl, single mother,
feminist, black woman, black man, white man, brown girl, asian woman, asian guy, african student,
latina, latino, arab, mixed race kid, native american, indigenous woman, chinese student,
japanese woman, korean, vietnamese man, filipino nurse, indian engineer, pakistani, bangladeshi,
afghan refugee, iranian, iraqi, syrian refugee, turk, kurd, egyptian, moroccan, somali woman,
nigerian, kenyan runner, ethiopian, mexican, guatemalan, cuban, haitian, jamaican, colombian,
venezuelan, brazilian, russian, ukrainian, polish plumber, romanian, bulgarian, albanian, serb,
croat, hungarian, greek, italian, spaniard, german, dutchman, swede, finn, irish guy, american,
canadian, israeli, palestinian, immigrant, migrant, refugee, asylum seeker, foreigner, traveller,
roma woman, disabled person, wheelchair user, blind man, deaf woman, autistic kid, dyslexic boy,
amputee, old lady, elderly man, pensioner, teenager, millennial, homeless man, hijabi`;

/** Adjectives that place a person in a protected group. */
const identity = `muslim, jewish, christian, catholic, hindu, sikh, buddhist, atheist, mormon, gay,
lesbian, bisexual, bi, trans, transgender, queer, nonbinary, asexual, pansexual, black, white,
brown, asian, african, latino, latina, hispanic, arab, indigenous, aboriginal, chinese, japanese,
korean, vietnamese, filipino, indian, pakistani, afghan, iranian, iraqi, syrian, turkish, kurdish,
egyptian, moroccan, somali, nigerian, kenyan, ethiopian, mexican, cuban, haitian, jamaican,
colombian, brazilian, russian, ukrainian, polish, romanian, albanian, serbian, hungarian, greek,
italian, spanish, german, dutch, swedish, irish, american, canadian, israeli, palestinian, disabled,
blind, deaf, autistic, dyslexic, elderly, female, foreign`;

/** Groups that nobody is born into; to run them down is rude, and no hate. */
const others = `bankers, politicians, lawyers, journalists, landlords, managers, recruiters, gamers,
programmers, vegans, hipsters, cyclists, car drivers, smokers, influencers, celebrities, billionaires,
lobbyists, bureaucrats, accountants, estate agents, car salesmen, consultants, economists, critics,
football fans, referees, hooligans, tourists, neighbours, students, professors, dentists, cops,
artists, poets, actors, musicians, djs, photographers, bloggers, youtubers, streamers, moderators,
admins, capitalists, communists, anarchists, centrists, liberals, conservatives, republicans,
democrats, socialists, libertarians, mac users, windows users, linux users, emacs users, vim users,
crypto investors, traders, scammers, spammers, hackers, cheaters, bullies, criminals, racists, nazis,
fascists, sexists, bigots, trolls, terrorists, dictators`;

/** Someone spoken of who is no group. */
const person = `my sister, my brother, my best friend, our teacher, the new developer, my doctor,
her husband, his wife, a friend of mine, the author, our neighbour, my colleague, the singer,
the minister, one of my students, my grandmother, my grandfather, my aunt, my uncle, my cousin,
my boss, our manager, the maintainer, the moderator, the host, the barista, my dentist, the mayor,
the president, the goalkeeper, our coach, the drummer, the guitarist, the actor, the director,
the nurse, the plumber, my landlord, the bus driver, my roommate, my daughter, my son, my mother,
my father, our tester, the speaker, the youtuber, the referee, the chef, the librarian, anna, ben,
maria, tom, lisa, ahmed, fatima, david, sarah, kevin, priya, chen, olga, jamal, carlos, emily, noah`;

/** Somebody else who said something. */
const who = `he, she, my uncle, some guy, a man on the train, the teacher, a politician, this user,
my landlord, some troll, a coworker, her ex, the coach, an old lady, people, some people, they,
a customer, that account, the driver, my boss, my stepfather, the neighbour, a stranger,
a drunk guy, my classmate, the senator, the priest, some kid, a commenter, the host, the villain,
her brother, his mother in law, a woman at the bar, that streamer, an anonymous user, my cousin,
the bouncer, my ex, a fan, an angry father, the doorman, a passenger, my old boss, the candidate,
that newspaper, a guest, somebody, someone, a random account, the leader of the party`;

export const PEOPLE = { groups, member, identity, others, person, who };
