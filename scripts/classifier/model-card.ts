export async function writeCard(_: unknown): Promise<void> {}
