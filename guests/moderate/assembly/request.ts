// A message to judge, as the host hands it over; little-endian, every text UTF-8, nothing padded:
//
//    0  f64 time, epoch ms | 8 u32 flags | 12 u16 given turns | 14 u16 bytes of the id
//   16  u16 of the conversation | 18 u16 user | 20 u16 role | 22 u16 replyTo | 24 u16 language
//   26  u16 0 | 28 u32 bytes of the text
//   32  id, conversation, user, role, replyTo, language, text, one after the other; then each given
//       turn, the oldest first: { u16 id, u16 user, u32 text } id, user, text
//
// A request whose lengths exceed it traps: the host made a mistake. A time that is no number is
// that of the message before.
import { alloc } from "../../sdk/assembly/arena";
import { hash32 } from "../../sdk/assembly/text/hash";

const HEAD_BYTES: usize = 32;
const GIVEN_HEAD_BYTES: usize = 8;
export const GIVEN_COUNT_MAX: u32 = 32;
/** TEXT_BYTES_MAX of src/model/limits.ts. */
const TEXT_BYTES_MAX: u32 = 16384;

/** Of ids and names. */
const NAME_BYTES_MAX: u32 = 255;

const FLAG_DO_NOT_STORE: u32 = 1;
const FLAG_JUDGE_ONLY: u32 = 2;

@unmanaged
export class Request {
  tsMs: f64;
  flags: u32;
  givenCount: u32;
  id: u32;
  idLen: u32;
  conversation: u32;
  conversationLen: u32;
  user: u32;
  userLen: u32;
  role: u32;
  roleLen: u32;
  replyTo: u32;
  replyToLen: u32;
  language: u32;
  languageLen: u32;
  text: u32;
  textLen: u32;
  /** Addresses of the given turns, u32 each, the oldest first. */
  given: u32;
  /** Of the user; 0: nobody is named. */
  userHash: u32;

  /** Whether nothing of it may stay. */
  @inline
  get leavesNoTrace(): bool {
    return (this.flags & (FLAG_DO_NOT_STORE | FLAG_JUDGE_ONLY)) != 0;
  }

  /** Whether it answers the message with that id. */
  @inline
  answers(id: usize, bytes: u32): bool {
    return (
      bytes != 0 && bytes == this.replyToLen &&
      memory.compare(id, <usize>this.replyTo, bytes) == 0
    );
  }

  @inline
  givenAt(index: u32): Given {
    return changetype<Given>(<usize>load<u32>(<usize>this.given + (<usize>index << 2)));
  }
}

/** A turn that came along. */
@unmanaged
export class Given {
  idLen: u16;
  userLen: u16;
  textLen: u32;

  @inline
  get id(): usize {
    return changetype<usize>(this) + GIVEN_HEAD_BYTES;
  }

  @inline
  get user(): usize {
    return this.id + this.idLen;
  }

  @inline
  get text(): usize {
    return this.user + this.userLen;
  }
}

export function readRequest(at: usize, bytes: usize): Request {
  if (bytes < HEAD_BYTES) unreachable();
  const request = changetype<Request>(alloc(offsetof<Request>()));
  request.tsMs = load<f64>(at);
  request.flags = load<u32>(at, 8);
  request.idLen = load<u16>(at, 14);
  request.conversationLen = load<u16>(at, 16);
  request.userLen = load<u16>(at, 18);
  request.roleLen = load<u16>(at, 20);
  request.replyToLen = load<u16>(at, 22);
  request.languageLen = load<u16>(at, 24);
  request.textLen = load<u32>(at, 28);
  if (request.textLen > TEXT_BYTES_MAX) unreachable();
  const names = max(max(request.idLen, request.userLen), max(request.roleLen, request.replyToLen));
  if (max(names, request.conversationLen) > NAME_BYTES_MAX) unreachable();
  request.id = <u32>(at + HEAD_BYTES);
  request.conversation = request.id + request.idLen;
  request.user = request.conversation + request.conversationLen;
  request.role = request.user + request.userLen;
  request.replyTo = request.role + request.roleLen;
  request.language = request.replyTo + request.replyToLen;
  request.text = request.language + request.languageLen;
  const end = request.text + request.textLen;
  if (<usize>end > at + bytes) unreachable();
  request.userHash = hashOfName(request.user, request.userLen);
  readGiven(request, min(<u32>load<u16>(at, 12), GIVEN_COUNT_MAX), end, at + bytes);
  return request;
}

function readGiven(request: Request, count: u32, at: usize, end: usize): void {
  request.givenCount = count;
  if (count == 0) return;
  request.given = <u32>alloc(<usize>count << 2, 4);
  for (let index: u32 = 0; index < count; index++) {
    if (at + GIVEN_HEAD_BYTES > end) unreachable();
    const given = changetype<Given>(at);
    const names = max(<u32>given.idLen, <u32>given.userLen);
    if (given.textLen > TEXT_BYTES_MAX || names > NAME_BYTES_MAX) unreachable();
    at = given.text + given.textLen;
    if (at > end) unreachable();
    store<u32>(<usize>request.given + (<usize>index << 2), <u32>changetype<usize>(given));
  }
}

/** Of a user: what is kept of the name where names are not kept; 0: there is none. */
export function hashOfName(at: usize, bytes: u32): u32 {
  return bytes == 0 ? 0 : max(hash32(at, bytes), 1);
}
