export const ADMISSION_ERROR_CODES = [
  /** More bytes than COMPONENT_BYTES_MAX. */
  "tooLarge",
  /** Not decodable. */
  "malformed",
  /** A core module, or not Wasm at all. */
  "notComponent",
  /** More or less than the one core module that a component may have, or the three. */
  "moduleCount",
  /** An import of the core module leads to something other than what its name says. */
  "wiring",
  /** The component or its core module imports something that its world does not. */
  "importsBeyondWorld",
  /** It imports something of its world under another type. */
  "importSignature",
  /** An interface or function of the world is missing. */
  "exportMissing",
  /** A function has other parameters or results than the world says. */
  "exportSignature",
  /** String encoding, memory, realloc or post-return are not as the host uses them. */
  "canonOptions",
  /** No memory, more than one, or not of fixed size within GUEST_MEMORY_PAGES_MAX. */
  "memoryLimits",
  /** A table that can grow, or too many. */
  "tableLimits",
  /** The module runs code when it is instantiated. */
  "startFunction",
  /** State outside the memory, which an image would not hold. */
  "hiddenState",
  /** An instruction or encoding outside the allow-list. */
  "feature",
  /** V8 refuses it. */
  "invalid",
] as const;

export type AdmissionErrorCode = (typeof ADMISSION_ERROR_CODES)[number];

/** Why a component was not admitted: what was found, and what would be right. */
export class AdmissionError extends Error {
  override name = "AdmissionError";
  readonly code: AdmissionErrorCode;

  constructor(code: AdmissionErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
