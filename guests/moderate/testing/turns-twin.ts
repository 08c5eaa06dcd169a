/**
 * What a moderator remembers, written down plainly: conversations by last use, all turns of each,
 * and which of them a message is read with. It knows no bounds of memory.
 */
import type { ModerationRequest, Relation } from "#model/moderation.ts";
import type { Policy } from "#model/policy.ts";

/** Of guests/moderate/assembly: turns that are kept for one that is read, and of older ones read. */
const KEPT_TIMES = 2;
const OLDER_OF_AUTHOR_MAX = 2;

export type TwinTurn = {
  readonly id: string | undefined;
  readonly user: string | undefined;
  readonly role: string | undefined;
  readonly tsMs: number;
  readonly text: string;
};

export class TurnsTwin {
  /** The one judged last comes first. */
  conversations: { id: string; turns: TwinTurn[] }[] = [];
  judgedCount = 0;
  readonly #policy: Policy;
  /** Known also where names are not kept. */
  readonly #authors = new WeakMap<TwinTurn, string | undefined>();

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  find(id: string): readonly TwinTurn[] {
    return this.conversations.find((each) => each.id === id)?.turns ?? [];
  }

  /** Ids and relations of the turns that the message is read with, the newest first. */
  contextOf(request: ModerationRequest): { id: string | undefined; relation: Relation }[] {
    const { turnsMax, ageMsMax } = this.#policy.context;
    const turns = this.find(request.conversation ?? "");
    const place = turns.findIndex(({ id }) => id !== undefined && id === request.id);
    const before = (place === -1 ? turns : turns.slice(0, place)).filter(
      ({ tsMs }) => request.tsMs! - tsMs <= ageMsMax,
    );
    const context: { id: string | undefined; relation: Relation }[] = [];
    let older = 0;
    if (turnsMax === 0) return [];
    for (const [index, turn] of before.toReversed().entries()) {
      const author = this.#authors.get(turn);
      const isSame = author !== undefined && author === request.user;
      const isReplied = turn.id !== undefined && turn.id === request.replyTo;
      const isOlder = index >= turnsMax;
      if (isOlder && isSame) older += 1;
      if (isOlder && !isReplied && !(isSame && older <= OLDER_OF_AUTHOR_MAX)) continue;
      const relation = isReplied ? "repliedTo" : isSame ? "sameAuthor" : "previous";
      context.push({ id: turn.id, relation });
    }
    return context;
  }

  judge(request: ModerationRequest): void {
    if (request.doNotStore === true) return;
    this.judgedCount += 1;
    const { conversation, id, user, role, tsMs, text } = request;
    if (conversation === undefined || this.#policy.context.turnsMax === 0) return;
    const isBare = this.#policy.doNotStore;
    const turn: TwinTurn = {
      id,
      user: isBare ? undefined : user,
      role,
      tsMs: tsMs!,
      text: isBare ? "" : text,
    };
    this.#authors.set(turn, user);
    const known = this.conversations.find((each) => each.id === conversation);
    const turns = known?.turns ?? [];
    const place = turns.findIndex((each) => each.id !== undefined && each.id === id);
    if (place === -1) turns.push(turn);
    else turns[place] = turn;
    this.conversations = [
      { id: conversation, turns: this.#kept(turns) },
      ...this.conversations.filter((each) => each !== known),
    ].filter((each) => each.turns.length > 0);
  }

  forget(id: string): boolean {
    const before = this.conversations.length;
    this.conversations = this.conversations.filter((each) => each.id !== id);
    return this.conversations.length < before;
  }

  advance(nowMs: number): void {
    const oldestMs = nowMs - this.#policy.context.ageMsMax;
    for (const each of this.conversations) {
      each.turns = each.turns.filter(({ tsMs }) => !(tsMs < oldestMs));
    }
    this.conversations = this.conversations.filter((each) => each.turns.length > 0);
  }

  /** The oldest go until the others keep to the policy; a text of one turn fits always. */
  #kept(turns: TwinTurn[]): TwinTurn[] {
    const { turnsMax, bytesMax } = this.#policy.context;
    let kept = turns;
    while (kept.length > turnsMax * KEPT_TIMES || textBytes(kept) > bytesMax) kept = kept.slice(1);
    return kept;
  }
}

function textBytes(turns: readonly TwinTurn[]): number {
  return turns.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
}
