/** What names a conversation, in a message and in a path. */
import { CONVERSATION_BYTES_MAX } from "./limits.ts";
import { Problem } from "./problem.ts";
import { hasControls, isWithinBytes } from "./text-bytes.ts";

export const CONVERSATION_ALLOWED = `1 to ${CONVERSATION_BYTES_MAX} bytes, no controls`;

export function isConversationId(text: string): boolean {
  return text !== "" && !hasControls(text) && isWithinBytes(text, CONVERSATION_BYTES_MAX);
}

/** `id` itself, if a message may name it so. */
export function requireConversation(id: string): string {
  if (isConversationId(id)) return id;
  const detail = `This is no conversation; use ${CONVERSATION_ALLOWED}.`;
  throw new Problem("conversationIllegal", detail);
}
