#!/usr/bin/env node
// The `nexuscore` command: starts src/main.ts on the right runtime with the flags it needs.
// Plain JavaScript: this file must run on any Node from 20 on.
import { fileURLToPath } from "node:url";
import { runOnRuntime } from "./runtime.mjs";

runOnRuntime([fileURLToPath(new URL("../src/main.ts", import.meta.url)), ...process.argv.slice(2)]);
