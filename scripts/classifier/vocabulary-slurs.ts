/**
 * Slurs, and the harmless lives that some of them lead. A moderator has to know the words; they
 * stand here and in the guest's lexicon, and nowhere in documents.
 */

const slur = `faggot, fag, dyke, tranny, shemale, homo, poof, poofter, batty boy, lesbo, carpet muncher,
nigger, nigga, coon, jigaboo, spade, sambo, darkie, porch monkey, jungle bunny, kike, yid, heeb,
christ killer, spic, wetback, beaner, greaser, chink, gook, slope, jap, nip, ching chong, zipperhead,
paki, raghead, towelhead, camel jockey, sand nigger, muzzie, muzzrat, goat fucker, gypo, gyppo, pikey,
polack, kraut, wop, dago, guido, mick, frog eater, cracker, white trash, redneck, honky, gringo,
injun, redskin, squaw, abo, half breed, mongrel, mudblood, retard, tard, spastic, spaz, cripple, gimp,
mongoloid, window licker, midget, bitch, cunt, slut, whore, hoe, skank, feminazi, bimbo, terf,
ladyboy, he-she, trannie, sodomite, fudge packer, bum boy, queer, cotton picker, tar baby, uncle tom,
house nigger, anchor baby, illegal, coolie, curry muncher, dothead, hajji, jihadi, terrorist,
shiksa, goyim, hymie, shylock, eskimo, chinaman, oriental, chug, wagon burner`;

const reclaimed = `queer, dyke, fag, faggot, bitch, slut, tranny, nigga, homo, crip, spaz, bear, butch,
femme, nerd, geek, freak, weirdo, queen, redneck, gimp, lesbo, poof, fatty, tomboy, fairy`;

/** Sentences in which such a word is a thing, an animal, a place or a name. */
const homonymTalk = `he lit a fag outside the pub, can i bum a fag, faggots and peas for dinner,
gather a faggot of dry wood for the fire, the dyke broke and the fields were flooded,
we walked along the old dyke to the sea, our maine coon sleeps all day, the coon cat had kittens,
salted crackers with cheese, a firecracker woke the dog, christmas crackers on the table,
a chink in the armour, light came through a chink in the wall, spick and span kitchen,
call a spade a spade, a spade and a rake for the garden, the ace of spades wins, i need a new spade,
the bitch had six puppies, our bitch won the dog show, the vet says the bitch is pregnant,
the rooster is called a cock in england, a weathercock on the roof, turn the stopcock to the left,
cock your head to the left, cocktails at eight, a peacock in the park, the gun was cocked and loaded,
the ass carried the bags up the hill, an ass and a mule in the stable, assess the assets first,
blue tits and great tits at the feeder, a pair of tits nest in the oak, the titmouse sings,
pass me the hoe from the shed, a garden hoe with a long handle, the slag heap of the old mine,
a nip in the air this morning, nip it in the bud, nip out for milk, the puppy gave me a nip,
a gyp in my knee, the music should retard here, salt retards the setting of plaster,
add a retarder to the concrete, fire retardant foam, the tranny in my truck slips in second gear,
rebuild the tranny and change the oil, i was listening to an old tranny radio,
a queer noise from the engine, a queer feeling that something is off, the pussy cat sat on the mat,
pussy willow in a vase, puss in boots, a beaver built a dam, the shag carpet is dirty,
dick van dyke was funny, my uncle dick is a baker, moby dick is a long book, philip k dick novels,
willy wonka and the chocolate factory, free willy was sad, fanny price is the heroine,
scunthorpe united won, we live in essex, the village of cockermouth, penistone station is closed,
the pig farm smells, the pigs are in the mud, roast pig with apples, guinea pig food,
a snake in the grass was green, the rat in the lab learned it, we adopted a dog and a cow,
monkeys in the zoo threw peanuts, apes use tools, the monkey wrench is in the box,
bastard file and a rasp, a bastard sword weighs two kilos, screw it to the wall with four screws,
a cripple bracket under the beam, the cripple studs above the door, gimp can edit the photo,
open it in gimp and export a png, gimp braid for the cushion, the oriental rug was cleaned,
the slope is steep, the slope of the line is two, ski down the red slope, greaser for the bearings,
the frog jumped, mick jagger sings, the mick schumacher race, a dummy variable in the regression,
a dumb terminal on a serial line, dumb waiter in the old house, crash test dummies,
the master branch and the slave disk, set the slave jumper on the drive, trash bin on the desktop,
empty the trash, the garbage collector runs too often, take out the garbage, garbage in garbage out,
savage garden played live, savage discount on shoes, kill the orphan process, the child was killed by init,
zombie processes after fork, the daemon died, abort the job, execute the script, hang up the phone,
the terminal hangs, a bullet list, bomb calorimeter, the photobomb was funny, fork bomb in a shell,
a queen and a king of spades, red dwarf is a comedy, a white dwarf star, dwarf planets,
the midget submarine, an illegal instruction error, illegal character in the name, an illegal move,
a terrorist attack is in the news, the jihadi trial starts, redneck comedy tour, cracker jack,
hacked with a cracker tool, crackers broke the copy protection, a cotton picker machine,
half breed horses are calm, mongrel is a web server, my dog is a mongrel and very sweet, nazi germany lost the war,
the grammar nazi subreddit, soup nazi episode, hoes and rakes are on sale, a butch haircut,
the bimbo bakery makes bread, spastic colon is a diagnosis, muscle spastic after a stroke,
poof and it was gone, a puff of smoke and poof, homo sapiens is our species, homo erectus fossils,
homogenised milk, the yid word for a jew is yid, yiddish theatre, a jap on the nose`;

export const SLURS = { slur, reclaimed, homonymTalk };
