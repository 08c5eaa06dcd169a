// Sends NexusCore's spans to an OpenTelemetry collector. It lies in a folder of its own, beside the
// SDK that it loads, and is named with --import: docs/deploy.md, "Traces".
import { isMainThread } from "node:worker_threads";

// The threads of the server load this too, and have no spans of their own.
if (isMainThread) {
  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  const sdk = new NodeSDK({ serviceName: process.env.OTEL_SERVICE_NAME ?? "nexuscore" });
  sdk.start();
  // What is kept for the next batch goes before the process does.
  for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => void sdk.shutdown());
}
