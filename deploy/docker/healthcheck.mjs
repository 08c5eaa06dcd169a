// Whether the server of this container takes events: ends with 0 if it does, else says why not.
const port = process.env.NEXUSCORE_HTTP_PORT || "7070";
const late = AbortSignal.timeout(4_000);
try {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: late });
  if (!answer.ok) {
    console.log((await answer.text()).slice(0, 500));
    process.exitCode = 1;
  }
} catch (error) {
  console.log(String(error.cause ?? error));
  process.exitCode = 1;
}
