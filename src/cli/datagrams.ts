/** Event datagrams and the kernel's telemetry: what of them is to be had. */
import type { DatagramFacts } from "#api/health.ts";
import type { Config } from "#config/options.ts";
import type { UdpIngest } from "#ingest/udp.ts";
import type { Stage } from "#kernel/stage.ts";
import type { Telemetry } from "#kernel/telemetry.ts";
import type { TelemetryLevel } from "#model/kernel-telemetry.ts";
import type { Log } from "#observe/log.ts";

/** Without its port the server goes on, over HTTP alone, and says so. */
export async function openUdp(stage: Stage, config: Config, log: Log): Promise<UdpIngest | string> {
  const { udpHost: host, udpPort: port, turnMs, busyTurnMs } = config;
  try {
    const { startUdpIngest } = await import("#ingest/udp.ts");
    return await startUdpIngest(stage, { host, port, turnMs, busyTurnMs });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const place = `${host}:${port}`;
    const reason =
      code === "EADDRINUSE"
        ? `UDP ${place} is taken by another program; choose another with --udp-port`
        : `UDP ${place} cannot be had: ${message}`;
    log.warn({ udpHost: host, udpPort: port, code }, `no event datagrams: ${reason}`);
    return reason;
  }
}

/** Whatever of it is not to be had is left out, and told by `/v1/system/kernel`. */
export async function startTelemetry(udp: UdpIngest | string, config: Config): Promise<Telemetry> {
  const { openTelemetry } = await import("#kernel/telemetry.ts");
  const udpPort = typeof udp === "string" ? 0 : udp.port;
  return openTelemetry({ level: config.kernelTelemetry as TelemetryLevel, udpPort });
}

export function datagramFacts(udp: UdpIngest | string): DatagramFacts {
  if (typeof udp === "string") return { status: "off", reason: udp };
  const { host, port, facts } = udp;
  return { status: "on", host, port, ...facts, missing: [...facts.missing] };
}
