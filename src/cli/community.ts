/**
 * A synthetic community for the demo: four channels in which topics rise and fall. A function of
 * its seed and the time asked for: the same seed, the same talk.
 *
 * Each channel goes through episodes. An episode has one topic, which swells in its first quarter,
 * holds, and fades in its last third; the rest of the talk is small talk. Sentences come from a
 * small grammar: `{slot}` takes one of the slot's words, and people differ in how much they write.
 */
import { Random } from "#std/random.ts";

export type CommunityMessage = {
  readonly tenant: string;
  readonly event: {
    readonly id: string;
    readonly user: string;
    readonly text: string;
    readonly tsMs: number;
  };
};

type Episode = { readonly topic: Topic; readonly startMs: number; readonly endMs: number };
type Topic = { readonly name: string; readonly lines: readonly string[] };
type Channel = {
  readonly tenant: string;
  readonly messagesPerSecond: number;
  readonly userCount: number;
  readonly smallTalk: readonly string[];
  readonly topics: readonly Topic[];
  readonly slots: Readonly<Record<string, readonly string[]>>;
};

const EPISODE_MS_MIN = 35_000;
const EPISODE_MS_SPAN = 30_000;
/** Share of an episode's messages that are about its topic, at its height. */
const TOPIC_SHARE = 0.65;

export class Community {
  #rooms: Room[];

  constructor(seed: number, startMs: number) {
    this.#rooms = CHANNELS.map(
      (channel, index) => new Room(channel, seed + index * 7_919, startMs),
    );
  }

  get tenants(): string[] {
    return CHANNELS.map(({ tenant }) => tenant);
  }

  /** What is said until `untilMs`, from where the last call ended, by time. */
  messagesUntil(untilMs: number): CommunityMessage[] {
    const all = this.#rooms.flatMap((room) => room.messagesUntil(untilMs));
    return all.toSorted((a, b) => a.event.tsMs - b.event.tsMs);
  }
}

class Room {
  #channel: Channel;
  #random: Random;
  #users: string[];
  #nextMs: number;
  #episode: Episode;
  #messageCount = 0;

  constructor(channel: Channel, seed: number, startMs: number) {
    this.#channel = channel;
    this.#random = new Random(seed);
    this.#users = Array.from({ length: channel.userCount }, () => this.#name());
    this.#nextMs = startMs;
    this.#episode = this.#openEpisode(startMs, undefined);
  }

  messagesUntil(untilMs: number): CommunityMessage[] {
    const said: CommunityMessage[] = [];
    while (this.#nextMs < untilMs) {
      const tsMs = this.#nextMs;
      if (tsMs >= this.#episode.endMs) this.#episode = this.#openEpisode(tsMs, this.#episode.topic);
      said.push(this.#message(tsMs));
      // Messages come at random (exponential gaps), and more of them while something happens.
      const rate = this.#channel.messagesPerSecond * (0.7 + 0.6 * this.#heat(tsMs));
      const gapMs = (-Math.log(1 - this.#random.unit()) / rate) * 1_000;
      this.#nextMs += Math.max(1, Math.round(gapMs));
    }
    return said;
  }

  #message(tsMs: number): CommunityMessage {
    const { tenant, smallTalk } = this.#channel;
    const onTopic = this.#random.unit() < TOPIC_SHARE * this.#heat(tsMs);
    const line = this.#pick(onTopic ? this.#episode.topic.lines : smallTalk);
    // Squaring makes the first users of the list the talkative ones.
    const user =
      this.#users[Math.floor(this.#random.unit() ** 2 * this.#users.length)] ?? "someone";
    this.#messageCount += 1;
    const id = `${tenant}-${tsMs}-${this.#messageCount}`;
    return { tenant, event: { id, user, text: this.#fill(line), tsMs } };
  }

  /** 0 to 1: how much the episode's topic is on. */
  #heat(tsMs: number): number {
    const { startMs, endMs } = this.#episode;
    const part = (tsMs - startMs) / (endMs - startMs);
    if (part < 0.25) return part / 0.25;
    return part < 0.66 ? 1 : Math.max(0, (1 - part) / 0.34);
  }

  #openEpisode(startMs: number, last: Topic | undefined): Episode {
    const topics = this.#channel.topics.filter((topic) => topic !== last);
    const lengthMs = EPISODE_MS_MIN + this.#random.below(EPISODE_MS_SPAN);
    return { topic: this.#pick(topics), startMs, endMs: startMs + lengthMs };
  }

  #fill(line: string): string {
    return line.replaceAll(/\{(\w+)\}/g, (_match, slot: string) => {
      const words = this.#channel.slots[slot] ?? COMMON_SLOTS[slot];
      return words === undefined ? slot : this.#pick(words);
    });
  }

  #name(): string {
    const tail = this.#random.chance(1, 2) ? String(this.#random.below(100)) : "";
    return this.#pick(NAME_HEADS) + this.#pick(NAME_TAILS) + tail;
  }

  #pick<T>(values: readonly T[]): T {
    const value = values[this.#random.below(values.length)];
    if (value === undefined) throw new Error("nothing to pick from");
    return value;
  }
}

const NAME_HEADS = [
  "ad",
  "bo",
  "cel",
  "dar",
  "el",
  "fin",
  "gus",
  "hal",
  "in",
  "jo",
  "kai",
  "lu",
  "mi",
];
const NAME_TAILS = [
  "a",
  "bert",
  "dra",
  "el",
  "ia",
  "ko",
  "lo",
  "mir",
  "na",
  "ric",
  "sol",
  "tan",
  "vy",
];

const COMMON_SLOTS: Readonly<Record<string, readonly string[]>> = {
  wow: ["wow", "omg", "no way", "seriously", "honestly", "ok", "lol", "haha", "damn", "well"],
  end: ["", "!", "!!", " lol", " 😂", " tbh", "...", " imo", " right?", " 🔥", " for real"],
  again: ["again", "once more", "for the third time", "as always", "today", "tonight"],
};

const CHANNELS: readonly Channel[] = [
  {
    tenant: "stream-pixelquest",
    messagesPerSecond: 14,
    userCount: 160,
    smallTalk: [
      "{wow} what a {thing}{end}",
      "hi chat{end}",
      "how long is the stream {again}?",
      "that {thing} was {good}{end}",
      "I just got here, what did I miss{end}",
      "play {game} next{end}",
      "{good} music{end}",
      "my {thing} broke {again}{end}",
      "who else is here since {game}{end}",
      "greetings from {place}{end}",
    ],
    topics: [
      {
        name: "boss",
        lines: [
          "the dragon boss has {percent}% left{end}",
          "{wow} that dragon boss {hits} so hard{end}",
          "dodge the dragon boss, DODGE{end}",
          "nobody beats the dragon boss without {item}{end}",
          "use the {item} on the dragon boss{end}",
          "dragon boss phase {digit} is {good}{end}",
        ],
      },
      {
        name: "record",
        lines: [
          "world record pace{end}",
          "{wow} this could be the world record{end}",
          "{digit} seconds ahead of the world record{end}",
          "no way this is world record pace with {item}{end}",
          "the world record split was {percent}, look at that{end}",
        ],
      },
      {
        name: "lag",
        lines: [
          "the stream is lagging {again}{end}",
          "lagging for anyone else in {place}?",
          "{wow} 2 fps, it keeps lagging{end}",
          "audio is {digit} seconds behind, lagging badly{end}",
          "lagging since the {item} scene{end}",
        ],
      },
      {
        name: "secret",
        lines: [
          "there is a secret room behind the {thing}{end}",
          "{wow} how did you find that secret room{end}",
          "secret room has the {item}{end}",
          "go back to the secret room, you missed {item}{end}",
          "I played this for {percent} hours and never saw the secret room{end}",
        ],
      },
    ],
    slots: {
      thing: [
        "jump",
        "wall",
        "waterfall",
        "run",
        "combo",
        "headset",
        "controller",
        "painting",
        "door",
      ],
      good: ["insane", "clean", "so good", "wild", "brutal", "underrated", "beautiful"],
      game: ["Starfall", "Mooncart", "Hex Harbor", "Tiny Titans", "Old Roads"],
      place: ["Lisbon", "Oslo", "Texas", "Kyoto", "Lagos", "Lima", "Leeds"],
      item: ["ice bow", "iron shield", "fire potion", "double jump", "golden key"],
      hits: ["hits", "bites", "scales", "swings"],
      percent: ["90", "75", "60", "42", "33", "20", "12", "5"],
      digit: ["2", "3", "4", "5"],
    },
  },
  {
    tenant: "help-homelab",
    messagesPerSecond: 4,
    userCount: 60,
    smallTalk: [
      "anyone running {tool} on {machine}?",
      "how do I back up {tool}{end}",
      "my {machine} will not boot {again}, any ideas?",
      "thanks, that fixed my {part}{end}",
      "check the logs of {tool} first",
      "is {machine} enough for {tool}?",
      "I moved from {tool} to something smaller, works{end}",
      "did you try another {part}?",
    ],
    topics: [
      {
        name: "certificates",
        lines: [
          "my TLS certificate expired {again}, renewal fails on {machine}",
          "certificate expired here too, {tool} refuses connections",
          "everybody with a certificate expired error: the clock of {machine} may be wrong",
          "certificate expired after the {tool} update, anybody else?",
          "renewed by hand, certificate expired message is gone on {machine}",
        ],
      },
      {
        name: "update",
        lines: [
          "do NOT install kernel 6.21 on {machine}, network is gone",
          "kernel 6.21 broke my {part}",
          "going back from kernel 6.21 fixed {tool} for me",
          "same here, kernel 6.21 and no {part}",
          "is there a bug report for kernel 6.21 and {machine} yet?",
        ],
      },
      {
        name: "disk",
        lines: [
          "zfs pool degraded after the power cut, {part} shows errors",
          "pool degraded on {machine} as well, replace the {part} first",
          "how long does a resilver take with a pool degraded like this?",
          "pool degraded means you still have your data, do not panic",
        ],
      },
    ],
    slots: {
      tool: ["nextcloud", "jellyfin", "pihole", "grafana", "gitea", "wireguard", "homeassistant"],
      machine: ["a raspberry pi", "an old thinkpad", "a N100 box", "proxmox", "a NAS", "debian"],
      part: ["ethernet", "wifi card", "SSD", "second disk", "power supply", "router"],
    },
  },
  {
    tenant: "match-derby",
    messagesPerSecond: 16,
    userCount: 220,
    smallTalk: [
      "come on {team}{end}",
      "{wow} what a pass by {player}{end}",
      "{player} is everywhere {again}{end}",
      "midfield is {state}{end}",
      "who is on the bench for {team}?",
      "that was never a foul{end}",
      "{team} look {state}{end}",
      "{minute} minutes gone{end}",
    ],
    topics: [
      {
        name: "goal",
        lines: [
          "GOAL {player}{end}",
          "goal!! {player} from {distance} metres{end}",
          "{wow} what a goal{end}",
          "goal for {team}, keeper had no chance{end}",
          "1-0, goal by {player} ⚽{end}",
          "that goal was coming, {team} were {state}{end}",
        ],
      },
      {
        name: "red card",
        lines: [
          "red card for {player}{end}",
          "{wow} straight red card{end}",
          "never a red card, {player} got the ball{end}",
          "red card is harsh but {team} asked for it{end}",
          "ten men now after the red card{end}",
        ],
      },
      {
        name: "VAR",
        lines: [
          "VAR check, offside by {distance} centimetres?",
          "VAR takes {minute} minutes {again}{end}",
          "{wow} VAR is killing this game{end}",
          "VAR says no{end}",
          "penalty after VAR? {player} is ready{end}",
        ],
      },
      {
        name: "rain",
        lines: [
          "the pitch is under water, abandon the match?",
          "ball stops in the water {again}, pitch is a lake{end}",
          "{player} slips on the wet pitch{end}",
          "how is this pitch playable{end}",
        ],
      },
    ],
    slots: {
      team: ["Rovers", "City", "the blues", "the reds", "our boys"],
      player: ["Okafor", "Lindqvist", "Moreau", "Silva", "Tanaka", "Novak", "Byrne"],
      state: ["tired", "on fire", "asleep", "dangerous", "all over the place"],
      distance: ["8", "16", "25", "30"],
      minute: ["3", "12", "27", "41", "58", "77"],
    },
  },
  {
    tenant: "lounge-polyglot",
    messagesPerSecond: 5,
    userCount: 80,
    smallTalk: [
      "guten Morgen zusammen{end}",
      "hola a todos, ¿qué tal el {day_es}?",
      "bonjour, quelqu'un a un bon {thing_fr} ?",
      "おはよう、今日は{weather_ja}ですね",
      "good morning from the {thing_en}{end}",
      "oi gente, bom dia{end}",
      "hat jemand einen Tipp für {thing_de}?",
      "今天天气{weather_zh}",
      "buongiorno, un {thing_it} per tutti{end}",
    ],
    topics: [
      {
        name: "eclipse",
        lines: [
          "did you see the eclipse from the {thing_en}? #eclipse 🌒",
          "die Sonnenfinsternis war unglaublich, ganz ohne {thing_de} #eclipse",
          "¡el cielo se puso negro! #eclipse el {day_es}",
          "quelle lumière étrange sur mon {thing_fr} #eclipse",
          "日食すごかった、{weather_ja}でも見えた #eclipse",
          "日食太美了，今天{weather_zh} #eclipse",
        ],
      },
      {
        name: "coffee",
        lines: [
          "coffee is {price} euros now, seriously ☕",
          "un café à {price} euros, avec un {thing_fr} en plus ☕",
          "Kaffee für {price} Euro, da bleibe ich beim {thing_de} ☕",
          "el café a {price} euros el {day_es} ☕",
          "un caffè e un {thing_it} fanno {price} euro ☕",
        ],
      },
      {
        name: "train strike",
        lines: [
          "#strike again, no trains from the {thing_en}",
          "wieder #strike bei der Bahn, ich nehme {thing_de}",
          "#strike hoy, nadie llega al trabajo el {day_es}",
          "encore #strike, je reste avec mon {thing_fr}",
          "anche qui #strike, almeno c'è un {thing_it}",
        ],
      },
    ],
    slots: {
      day_es: ["lunes", "martes", "jueves", "fin de semana"],
      thing_fr: ["livre", "croissant", "jardin", "vélo"],
      weather_ja: ["雨", "晴れ", "曇り", "雪"],
      weather_zh: ["很好", "不错", "很冷", "下雨"],
      thing_en: ["harbour", "rooftop", "garden", "office", "beach"],
      thing_de: ["Fahrräder", "Zimmerpflanzen", "Wanderwege", "Brettspiele"],
      thing_it: ["cornetto", "gelato", "panino"],
      price: ["3", "4", "5", "6"],
    },
  },
];
