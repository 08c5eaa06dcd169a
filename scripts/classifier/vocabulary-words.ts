/** Words of the grammar that say something of people and things, bad or good. */

/** What somebody is called: nouns, singular; the plural is made by adding an s. */
const insult = `idiot, moron, loser, fool, clown, jerk, asshole, bitch, bastard, retard, scumbag, pig,
coward, liar, imbecile, dumbass, hypocrite, ass, whore, creep, troll, cunt, prick, dick, puppet,
parasite, twit, nutcase, halfwit, dimwit, nitwit, dunce, cretin, simpleton, buffoon, blockhead,
airhead, numbskull, bonehead, knucklehead, dolt, dullard, ignoramus, scoundrel, weasel, snake,
rat, worm, leech, pest, snob, brat, crybaby, wimp, sissy, weirdo, freak, slob, slut, skank, tramp,
douchebag, douche, jackass, dipshit, shithead, dickhead, fuckhead, fuckwit, motherfucker, wanker,
tosser, bellend, twat, git, arsehole, knob, muppet, bootlicker, phony, fraud, charlatan, crook,
lowlife, degenerate, pervert, maniac, psycho, lunatic, nobody, failure, disgrace, joke, waste,
smartass, know-it-all, drama queen, narcissist, sociopath, egomaniac, bully, gasbag, windbag,
nincompoop, lamebrain, birdbrain, peabrain, meathead, neanderthal, troglodyte, dirtbag, sleazebag,
shitbag, scum, vermin, hag, cow, goblin, incel, simp, noob, turd`;

/** Adjectives that run a person down. */
const bad = `stupid, dumb, pathetic, ignorant, ugly, disgusting, worthless, useless, ridiculous, lazy,
evil, vile, inferior, dirty, filthy, sick, subhuman, idiotic, moronic, retarded, brainless, hateful,
gross, horrible, awful, primitive, backward, uncivilised, savage, barbaric, violent, dangerous,
dishonest, greedy, sneaky, treacherous, corrupt, rotten, nasty, repulsive, revolting, vulgar, crude,
smelly, stinking, fat, hideous, deranged, demented, unhinged, delusional, hysterical, weak, spineless,
cowardly, gutless, heartless, cruel, wicked, sinful, immoral, perverted, depraved, degenerate,
deviant, abnormal, unnatural, defective, feeble, simple-minded, clueless, incompetent, hopeless,
unbearable, insufferable, annoying, arrogant, selfish, shameless, shallow, fake, two-faced, slimy,
creepy, sleazy, trashy, cheap, contemptible, despicable, detestable, loathsome, pitiful, laughable,
embarrassing, good for nothing, beneath us, unworthy, unfit, unwanted, ungrateful, untrustworthy,
criminal, thieving, parasitic, diseased, infected, impure, tainted, low, brutish, mindless, thick,
dense, dim, obtuse, slow, childish, petty, vindictive, bitter, miserable, toxic`;

/** What people are likened to, in the plural. */
const dehuman = `animals, rats, cockroaches, vermin, parasites, pigs, dogs, monkeys, apes, insects,
lice, fleas, leeches, maggots, worms, snakes, vultures, hyenas, jackals, rodents, pests, locusts,
bacteria, germs, viruses, a disease, a plague, a cancer, a virus, an infection, a tumour, a pest,
a stain, a curse, filth, dirt, garbage, trash, rubbish, scum, waste, sewage, slime, mud, weeds,
beasts, brutes, savages, barbarians, monsters, demons, devils, creatures, subhumans, mutants,
freaks, zombies, cattle, sheep, livestock, mongrels, strays, swine, roaches, ticks, bedbugs, mould,
poison, sludge, a burden, a mistake, a problem to be solved, a bad joke, a failed experiment`;

/** Crimes and vices that groups are slandered with, in the plural. */
const slander = `terrorists, criminals, thieves, rapists, murderers, killers, drug dealers, liars,
cheats, frauds, scammers, pedophiles, groomers, predators, perverts, traitors, spies, invaders,
spongers, freeloaders, scroungers, moochers, beggars, thugs, gangsters, smugglers, bombers,
extremists, fanatics, warmongers, slave traders, child molesters, wife beaters, sex offenders,
swindlers, looters, pickpockets, burglars, rioters, hypocrites, bloodsuckers, backstabbers, cultists,
whores, sluts, prostitutes, drunks, junkies, addicts, psychopaths, idiots, morons, retards, losers,
cowards, scumbags, bastards, freaks`;

const good = `awesome, great, beautiful, brilliant, amazing, good, funny, delicious, cool, perfect,
wonderful, fast, sweet, lovely, fantastic, excellent, superb, impressive, elegant, charming, clever,
smart, helpful, kind, generous, patient, honest, brave, friendly, polite, calm, warm, gentle, wise,
talented, gifted, creative, hardworking, reliable, loyal, cheerful, modest, thoughtful, caring,
inspiring, witty, fair, strong, interesting, relaxed, welcoming, trustworthy, humble, sincere,
graceful, skilled, capable, curious, hilarious, adorable, stunning, splendid, marvellous, neat,
solid, outstanding, remarkable, delightful, pleasant, lively, bright, sensible, organised, careful`;

/** How things may be, and people may feel, without anybody to blame. */
const state = `happy, proud, excited, tired, cold, late, hungry, busy, lucky, bored, sleepy, sad,
confused, nervous, sick, lost, lonely, broke, drunk, relieved, surprised, curious, glad, thirsty,
dizzy, jealous, worried, ready, early, impatient, sore, hot, exhausted, stressed, calm`;

const thing = `this game, the movie, my laptop, the weather, this bug, that song, the coffee,
my phone, the bus, this keyboard, the concert, the exam, the server, this recipe, the printer,
that goal, the food, this update, my car, the match, this driver, the kernel, the compiler, my router,
the wifi, the installer, this library, the api, the documentation, this package, the config, my code,
the build, the test suite, that patch, this distro, the browser, my monitor, the battery, the charger,
this app, the login page, the database, this query, the parser, the firewall, my bike, the train,
this traffic, the traffic light, the parking lot, the lecture, my homework, the essay, this book,
the ending, the plot, the trailer, the soundtrack, that episode, the season finale, the pizza,
this soup, the cake, my breakfast, the beer, the wine, the tea, the sandwich, the salad, the hotel,
the flight, the airport, my luggage, the queue, the price, this jacket, my shoes, the haircut,
the mattress, the sofa, my desk, the lamp, the fridge, the washing machine, the vacuum cleaner,
the lawn mower, the garden, my knee, my back, this headache, the rain, the snow, this heat, monday,
this week, the meeting, the deadline, the spreadsheet, my alarm clock, the fan, the graphics card,
the ssd, this cable, the adapter, that level, the final boss, my team, the referee's call, the lag,
the microphone, this playlist, the remote, the tv, the phone bill, the paperwork, the tax form`;

/** What may be killed, hit, cut or blown up and nobody minds. */
const deed = `the process, the daemon, the job, this song, the exam, the build, the cache,
the old branch, a cake, the tests, the virtual machine, the next level, the record, the script,
the boss in level three, some onions, the candles, a window, the ice, a photo, two eggs, the music,
some time, the server, the bug, the port, a cd, an iso, the background task, the zombie process,
the weeds, the mosquitoes, the dragon, the final boss, the virus scanner, the engine, the lights,
the alarm, the drums, the ball, the deadline, the interview, the marathon, the punching bag, the dough,
the garlic, the carrots, the nail, the tent, the firewood, the old shed, the balloon, the pinata,
the queue, the thread, the child process, the hung terminal, the session, the connection, the branch,
the target, the clay pigeons, a movie, the video, the scene, the commercial, some hoops, the rapids,
the budget, the calories, the bacteria, the moths, the aliens, the skeletons, the enemy base`;

const swear = `fucking, fuckin, damn, goddamn, shitty, bloody, freaking, crappy, effing, motherfucking,
goddamned, fricking, flipping, frigging, sodding, crap, shit, fuck, hell, arse, piss, bollocks, wtf,
holy shit, bullshit, damned, ass, shite, bugger`;

/** Harm done to people, infinitive. */
const harm = `kill, shoot, stab, hang, beat, burn, punch, strangle, murder, hurt, smash, destroy,
break, drown, behead, choke, run over, cut, kick, slap, poison, bomb, gas, lynch, execute, slaughter,
butcher, crush, whip, torture, maim, cripple, bury, skin, knife, gut, suffocate, electrocute, stone,
crucify, exterminate, wipe out, eliminate, batter, bludgeon, hit, attack, jump, ambush, assault,
rape, mutilate, decapitate, hunt down, finish off, put down, take out, beat up, blow up, cut up,
tear apart, knock out, bash, thrash, flog, scalp, disembowel, snuff out, throw off a bridge`;

/** The same as participles: "should be …". */
const harmed = `killed, shot, stabbed, hanged, beaten, burned, murdered, executed, exterminated,
wiped out, gassed, lynched, drowned, deported, locked up, put in camps, sterilised, castrated,
sent back, kicked out, thrown out, rounded up, eliminated, put down, whipped, beheaded, stoned,
slaughtered, enslaved, caged, crushed, eradicated, purged, banned from breeding, put against the wall,
thrown in the sea, left to die, taken out, bombed, buried alive, banished, expelled, disposed of`;

export const WORDS = {
  insult,
  bad,
  dehuman,
  slander,
  good,
  state,
  thing,
  deed,
  swear,
  harm,
  harmed,
};
