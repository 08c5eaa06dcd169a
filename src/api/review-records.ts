/** What the queue leaves behind: histories, the audit log, exports, and how long all is kept. */
import { requireConversation } from "#model/conversation-id.ts";
import { REVIEWS_LIMIT_MAX, SETTINGS_BYTES_MAX, USER_BYTES_MAX } from "#model/limits.ts";
import type { Label, Retention, ReviewItem } from "#model/review.ts";
import { TENANT_PARAMS, type TenantParams } from "#model/schemas.ts";
import type { ReviewDesk } from "#review/desk.ts";
import { type ItemFilter, readCursor } from "#review/item-rows.ts";
import type { FastifyInstance, FastifyPluginAsync, FastifyReply } from "fastify";
import { Readable } from "node:stream";
import { type Cell, csv, CSV_TYPE } from "./csv.ts";
import { sayLimit } from "./json-body.ts";
import {
  checkTenant,
  type DeskSource,
  fresh,
  requireName,
  responses,
  writeResponses,
} from "./review-routes.ts";
import { FILTER_PROPERTIES, filterOf, type FilterQuery } from "./reviews.ts";

const TENANT = "/v1/tenants/:tenant";
const tags = ["reviews"];
/** Of one question to the store, while an export is read. */
const EXPORT_PAGE = 500;

export function reviewRecordRoutes(desk: DeskSource): FastifyPluginAsync {
  return async (server) => {
    sayLimit(server, SETTINGS_BYTES_MAX);
    server.addHook("onRequest", checkTenant);
    registerExports(server, desk);
    registerAuthors(server, desk);
    registerConversations(server, desk);
    registerAudit(server, desk);
    registerRetention(server, desk);
  };
}

type Format = { format: "ndjson" | "csv" };

const FORMAT = {
  type: "string",
  enum: ["ndjson", "csv"],
  default: "ndjson",
  description: "One object a line, or a table with a header",
} as const;

const EXPORT_RESPONSE = {
  ...responses("Review", "All of it, as a stream"),
  200: {
    description: "All of it, as a stream",
    content: { "application/x-ndjson": { schema: { type: "string" } } },
  },
};

function registerExports(server: FastifyInstance, desk: DeskSource): void {
  server.get<TenantParams & { Querystring: Format & FilterQuery }>(
    `${TENANT}/reviews::export`,
    {
      config: { access: "review", isStream: true },
      schema: {
        tags,
        operationId: "exportReviews",
        summary: "The queue as NDJSON or CSV",
        params: TENANT_PARAMS,
        querystring: { type: "object", properties: { ...FILTER_PROPERTIES, format: FORMAT } },
        response: EXPORT_RESPONSE,
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      const { format, ...query } = request.query;
      const pages = itemPages(desk(), tenant, filterOf(query));
      return sendExport(reply, format, REVIEW_COLUMNS, pages, reviewCells);
    },
  );
  server.get<TenantParams & { Querystring: Format }>(
    `${TENANT}/labels::export`,
    {
      config: { access: "review", isStream: true },
      schema: {
        tags,
        operationId: "exportLabels",
        summary: "What people think of verdicts, as NDJSON or CSV",
        description: `One label for each category: of decisions that stand, and of Perspective's
\`suggestscore\`.`,
        params: TENANT_PARAMS,
        querystring: { type: "object", properties: { format: FORMAT } },
        response: EXPORT_RESPONSE,
      },
    },
    async (request, reply) => {
      const pages = labelPages(desk(), request.params.tenant);
      return sendExport(reply, request.query.format, LABEL_COLUMNS, pages, labelCells);
    },
  );
}

/** The first page is read before the answer begins, so that a store that fails has a status. */
async function sendExport<Row>(
  reply: FastifyReply,
  format: Format["format"],
  columns: readonly string[],
  pages: AsyncGenerator<readonly Row[]>,
  cellsOf: (row: Row) => readonly Cell[],
): Promise<FastifyReply> {
  const first = await pages.next();
  const type = format === "csv" ? CSV_TYPE : "application/x-ndjson; charset=utf-8";
  const header = csv(columns, []);
  const textOf = (rows: readonly Row[]): string =>
    format === "csv"
      ? csv(columns, rows.map(cellsOf)).slice(header.length)
      : rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  async function* texts(): AsyncGenerator<string> {
    if (format === "csv") yield header;
    if (first.done !== true) yield textOf(first.value);
    for await (const rows of pages) yield textOf(rows);
  }
  return fresh(reply).type(type).send(Readable.from(texts()));
}

async function* itemPages(
  desk: ReviewDesk,
  tenant: string,
  filter: ItemFilter,
): AsyncGenerator<readonly ReviewItem[]> {
  let after: ReturnType<typeof readCursor>;
  do {
    const page = { limit: EXPORT_PAGE, after, isCounted: false };
    const request = { tenant, filter, ...page, nowMs: desk.nowMs() };
    const { items, nextCursor } = await desk.ask("list", request);
    yield items;
    after = nextCursor === undefined ? undefined : readCursor(nextCursor);
  } while (after !== undefined);
}

async function* labelPages(desk: ReviewDesk, tenant: string): AsyncGenerator<readonly Label[]> {
  let after = 0;
  for (;;) {
    const labels = await desk.ask("labels", { tenant, limit: EXPORT_PAGE, after });
    yield labels;
    const last = labels.at(-1);
    if (last === undefined || labels.length < EXPORT_PAGE) return;
    after = last.seq;
  }
}

const REVIEW_COLUMNS = [
  "id",
  "state",
  "escalated",
  "severity",
  "action",
  "categories",
  "verdictId",
  "messageId",
  "conversation",
  "user",
  "language",
  "text",
  "verdictCount",
  "reportCount",
  "appealCount",
  "degraded",
  "createdAtMs",
  "updatedAtMs",
  "decision",
  "moderator",
  "reason",
  "decidedAtMs",
];

function reviewCells(item: ReviewItem): readonly Cell[] {
  const { decision } = item;
  return [
    item.id,
    item.state,
    item.escalated,
    item.severity,
    item.action,
    item.categories.join(" "),
    item.verdictId,
    item.messageId,
    item.conversation,
    item.user,
    item.language,
    item.text,
    item.verdictCount,
    item.reportCount,
    item.appealCount,
    item.degraded,
    item.createdAtMs,
    item.updatedAtMs,
    decision?.decision,
    decision?.moderator,
    decision?.reason,
    decision?.atMs,
  ];
}

const LABEL_COLUMNS = [
  "seq",
  "source",
  "category",
  "value",
  "score",
  "verdictId",
  "itemId",
  "language",
  "text",
  "atMs",
];

function labelCells(label: Label): readonly Cell[] {
  const { seq, source, category, value, score, verdictId, itemId } = label;
  const ids = [verdictId, itemId, label.language, label.text, label.atMs];
  return [seq, source, category, value, score, ...ids];
}

type AuthorParams = { Params: { tenant: string; author: string } };

const AUTHOR_PARAMS = {
  type: "object",
  properties: { ...TENANT_PARAMS.properties, author: { type: "string", description: "The user" } },
  required: ["tenant", "author"],
} as const;

function registerAuthors(server: FastifyInstance, desk: DeskSource): void {
  server.get<AuthorParams>(
    `${TENANT}/authors/:author/history`,
    {
      config: { access: "review" },
      schema: {
        tags,
        operationId: "authorHistory",
        summary: "What an author was flagged for, and what became of it",
        params: AUTHOR_PARAMS,
        response: responses("AuthorHistory", "The history; empty for who was never flagged"),
      },
    },
    async (request, reply) => {
      const { tenant, author } = request.params;
      const user = requireName(author, "/author", USER_BYTES_MAX);
      return fresh(reply).send(await desk().ask("author", { tenant, user }));
    },
  );
  server.delete<AuthorParams>(
    `${TENANT}/authors/:author`,
    {
      config: { access: "manage" },
      schema: {
        tags,
        operationId: "eraseAuthor",
        summary: "Delete an author's data",
        description: `Their verdicts, items with all that hangs on them, labels, deliveries that
wait, what they said in the contexts of others' items, and their name at reports and appeals. What a
conversation remembers is deleted with the conversation's turns.`,
        params: AUTHOR_PARAMS,
        response: writeResponses("Erased", "How much there was"),
      },
    },
    async (request, reply) => {
      const { tenant, author } = request.params;
      const value = requireName(author, "/author", USER_BYTES_MAX);
      const scope = { column: "author", value } as const;
      const reviews = desk();
      return fresh(reply).send(
        await reviews.ask("erase", { tenant, scope, nowMs: reviews.nowMs() }),
      );
    },
  );
}

function registerConversations(server: FastifyInstance, desk: DeskSource): void {
  server.delete<{ Params: { tenant: string; conversation: string } }>(
    `${TENANT}/conversations/:conversation/reviews`,
    {
      config: { access: "manage" },
      schema: {
        tags,
        operationId: "eraseConversationReviews",
        summary: "Delete what the queue keeps of a conversation",
        description: "Verdicts, items with all that hangs on them, labels, deliveries that wait.",
        params: {
          type: "object",
          properties: { ...TENANT_PARAMS.properties, conversation: { type: "string" } },
          required: ["tenant", "conversation"],
        },
        response: writeResponses("Erased", "How much there was", "conversationIllegal"),
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      const value = requireConversation(request.params.conversation);
      const scope = { column: "conversation", value } as const;
      const reviews = desk();
      return fresh(reply).send(
        await reviews.ask("erase", { tenant, scope, nowMs: reviews.nowMs() }),
      );
    },
  );
}

function registerAudit(server: FastifyInstance, desk: DeskSource): void {
  server.get<TenantParams & { Querystring: { limit: number; before?: number } }>(
    `${TENANT}/audit`,
    {
      config: { access: "review" },
      schema: {
        tags,
        operationId: "audit",
        summary: "Who did what",
        description: "Append only, the newest first. It names items, never authors or texts.",
        params: TENANT_PARAMS,
        querystring: {
          type: "object",
          properties: {
            limit: { type: "integer", minimum: 1, maximum: REVIEWS_LIMIT_MAX, default: 50 },
            before: { type: "integer", minimum: 1, description: "`nextBefore` of the page before" },
          },
        },
        response: responses("AuditPage", "One page"),
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      const { limit, before } = request.query;
      const lines = await desk().ask("audit", { tenant, limit, before });
      const last = lines.length === limit ? lines.at(-1) : undefined;
      return fresh(reply).send({ lines, nextBefore: last?.seq });
    },
  );
}

function registerRetention(server: FastifyInstance, desk: DeskSource): void {
  const path = `${TENANT}/retention`;
  server.get<TenantParams>(
    path,
    {
      config: { access: "review" },
      schema: {
        tags,
        operationId: "getRetention",
        summary: "How long a tenant's data is kept",
        params: TENANT_PARAMS,
        response: responses("Retention", "In days"),
      },
    },
    async (request, reply) =>
      fresh(reply).send(await desk().ask("retention", { tenant: request.params.tenant })),
  );
  server.put<TenantParams & { Body: Retention }>(
    path,
    {
      config: { access: "manage" },
      schema: {
        tags,
        operationId: "putRetention",
        summary: "Set how long a tenant's data is kept",
        description: "What is older is deleted within an hour. Items that wait are kept.",
        params: TENANT_PARAMS,
        body: { $ref: "Retention#" },
        response: writeResponses("Retention", "In days"),
      },
    },
    async (request, reply) => {
      const { tenant } = request.params;
      const retention = request.body;
      const reviews = desk();
      const change = { tenant, retention, nowMs: reviews.nowMs() };
      return fresh(reply).send(await reviews.ask("setRetention", change));
    },
  );
}
