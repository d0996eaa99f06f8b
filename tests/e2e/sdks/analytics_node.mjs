// @segment/analytics-node: says what stdin asks for; prints the reasons of what was not delivered.
import { text } from "node:stream/consumers";
import { Analytics } from "@segment/analytics-node";

const { url, key, calls } = JSON.parse(await text(process.stdin));
const client = new Analytics({ writeKey: key, host: url });
const failures = [];
client.on("error", ({ reason }) => failures.push(String(reason)));
for (const { type, ...message } of calls) client[type](message);
await client.closeAndFlush({ timeout: 60_000 });
console.log(JSON.stringify(failures));
