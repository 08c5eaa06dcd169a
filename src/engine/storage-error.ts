/** Why what is kept cannot be had at a start, in words for whoever started the process. */
export class StorageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "StorageError";
  }
}
