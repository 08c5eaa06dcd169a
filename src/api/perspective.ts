/** `comments:analyze` and `comments:suggestscore`, as Perspective's clients send them. */
import type { EngineDoor } from "#engine/door.ts";
import { tenantFor } from "#keys/access-hooks.ts";
import { MODERATE_BODY_BYTES_MAX, TENANT_ID_BYTES_MAX } from "#model/limits.ts";
import type { Feedback, FeedbackListener } from "#model/feedback.ts";
import { supportOf } from "#model/languages.ts";
import { isObject, messageOf } from "#model/moderation-input.ts";
import type { ModerationRequest, Verdict } from "#model/moderation.ts";
import { attributeOf, isSupported } from "#model/perspective.ts";
import { Problem } from "#model/problem.ts";
import { TENANT_PARAMS } from "#model/schemas.ts";
import { isTenantId, requireTenantId } from "#model/tenant.ts";
import { shownScore } from "#model/verdict-answer.ts";
import type { Log } from "#observe/log.ts";
import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { bodyOf, parseJson, takeBytes } from "./json-body.ts";
import { answerAsPerspective, perspectiveProblem } from "./perspective-errors.ts";
import {
  type AskedAttribute,
  attributesOf,
  type Comment,
  commentOf,
  contextOf,
  fieldOf,
  type Fields,
  flagOf,
  invalidRequest,
  languagesOf,
  objectOf,
  textOf,
  tokenOf,
  unknownAttribute,
} from "./perspective-request.ts";
import { ANALYZE_SCHEMA, SUGGEST_SCHEMA } from "./perspective-schemas.ts";

/** Of requests without a community. */
const TENANT_DEFAULT = "default";
/** Hex digits that keep two communities apart whose names look alike as tenants. */
const HASH_DIGITS = 12;
/** Set where an upstream was to judge the comment, and did not; says why not. */
const DEGRADED_HEADER = "nexuscore-degraded";

type Score = { readonly value: number; readonly type: "PROBABILITY" };

type AttributeScores = {
  readonly summaryScore: Score;
  readonly spanScores: readonly { readonly begin: number; readonly end: number; score: Score }[];
};

type AnalyzeAnswer = {
  readonly attributeScores?: Readonly<Record<string, AttributeScores>>;
  readonly languages: readonly string[];
  readonly detectedLanguages: readonly string[];
  readonly clientToken?: string;
};

export type PerspectiveParts = {
  readonly engine: EngineDoor;
  readonly log: Log;
  readonly onFeedback: FeedbackListener;
};

export function perspectiveRoutes(parts: PerspectiveParts): FastifyPluginAsync {
  return async (server) => {
    takeBytes(server);
    answerAsPerspective(server, { log: parts.log, bodyBytesMax: MODERATE_BODY_BYTES_MAX });
    // `::` is a colon; one alone would begin a parameter.
    for (const base of ["/v1alpha1", "/v1/tenants/:tenant/v1alpha1"]) {
      const ofTenant = base === "/v1alpha1" ? {} : { params: TENANT_PARAMS };
      registerAnalyze(server, `${base}/comments::analyze`, { ...parts, ofTenant });
      registerSuggest(server, `${base}/comments::suggestscore`, { ...parts, ofTenant });
    }
  };
}

/** Clients of theirs send the key in the query. */
const OPTIONS = {
  bodyLimit: MODERATE_BODY_BYTES_MAX,
  config: { access: "judge", keyInQuery: true },
} as const;

type RouteParts = PerspectiveParts & { readonly ofTenant: { readonly params?: object } };

function registerAnalyze(
  server: FastifyInstance,
  path: string,
  { engine, ofTenant }: RouteParts,
): void {
  const operationId = ofTenant.params === undefined ? "analyzeComment" : "analyzeTenantComment";
  const schema = { ...ANALYZE_SCHEMA, operationId, ...ofTenant };
  server.post(path, { ...OPTIONS, schema }, async (request, reply) => {
    const body = fieldsOf(request);
    const tenant = tenantOf(request, body);
    const asked = askedOf(body);
    const [outcome] = await engine.moderate(tenant, [asked.request]);
    if (outcome === undefined) throw new Problem("internal", "The engine gave no verdict.");
    if ("problem" in outcome) throw new Problem(outcome.problem.code, outcome.problem.detail);
    tellDegraded(reply, outcome.verdict);
    return reply.header("cache-control", "no-store").send(answerOf(asked, outcome.verdict));
  });
}

/** In a header: their form has no place for it. */
function tellDegraded(reply: FastifyReply, { degraded, upstream }: Verdict): void {
  if (degraded) reply.header(DEGRADED_HEADER, upstream?.outcome ?? "unavailable");
}

function registerSuggest(
  server: FastifyInstance,
  path: string,
  { onFeedback, ofTenant }: RouteParts,
): void {
  const operationId = ofTenant.params === undefined ? "suggestScore" : "suggestTenantScore";
  const schema = { ...SUGGEST_SCHEMA, operationId, ...ofTenant };
  server.post(path, { ...OPTIONS, schema }, async (request, reply) => {
    const body = fieldsOf(request);
    const feedback = feedbackOf(body, tenantOf(request, body));
    onFeedback(feedback);
    const { clientToken } = feedback;
    return reply
      .header("cache-control", "no-store")
      .send(clientToken === undefined ? {} : { clientToken });
  });
}

function fieldsOf(request: FastifyRequest): Fields {
  const body = parseJson(bodyOf(request));
  if (isObject(body)) return body;
  throw invalidRequest("Invalid JSON payload received: the root must be an object.");
}

/** Of the path, else the community's. */
function tenantOf(request: FastifyRequest, body: Fields): string {
  const { tenant } = request.params as { tenant?: string };
  if (tenant !== undefined) return requireTenantId(tenant);
  const community = textOf(body, "communityId");
  const named = community === undefined ? undefined : tenantOfCommunity(community);
  return tenantFor(request, named) ?? TENANT_DEFAULT;
}

/**
 * A community's own name where it is a tenant id. Else what of it may stand in one, and a hash of
 * the whole, so that no two communities ever share a tenant.
 */
export function tenantOfCommunity(community: string): string {
  if (isTenantId(community)) return community;
  const hash = createHash("sha256").update(community).digest("hex").slice(0, HASH_DIGITS);
  const words = community.replaceAll(/[^A-Za-z0-9._:-]+/g, "-").replaceAll(/^-+|-+$/g, "");
  const name = words.slice(0, TENANT_ID_BYTES_MAX - HASH_DIGITS - 1) || "community";
  return `${name}.${hash}`;
}

type Asked = {
  readonly request: ModerationRequest;
  readonly comment: Comment;
  readonly attributes: readonly AskedAttribute[];
  readonly languages: readonly string[] | undefined;
  readonly drops: boolean;
  readonly spans: boolean;
  readonly clientToken: string | undefined;
};

function askedOf(body: Fields): Asked {
  const comment = commentOf(body);
  const drops = flagOf(body, "dropUnsupportedAttributes");
  const attributes = attributesOf(body, drops);
  const languages = languagesOf(body);
  const language = bestOf(languages?.tags ?? []);
  const asked = {
    comment,
    attributes,
    languages: languages?.given,
    drops,
    spans: flagOf(body, "spanAnnotations"),
    clientToken: tokenOf(body),
  };
  // A language that was given is checked before anything is remembered of the message.
  if (language !== undefined) checkLanguage(asked, language, supportOf(language));
  textOf(body, "sessionId");
  const message = {
    text: comment.text,
    language,
    context: contextOf(body),
    doNotStore: flagOf(body, "doNotStore"),
    conversation: textOf(body, "conversation"),
    user: textOf(body, "user"),
  };
  return { ...asked, request: checked(message) };
}

/** The one that is judged best: of several, a text is judged in one. */
function bestOf(tags: readonly string[]): string | undefined {
  const rank = { full: 0, lists: 1, none: 2 };
  return tags.toSorted((a, b) => rank[supportOf(a)] - rank[supportOf(b)])[0];
}

function checked(message: Fields): ModerationRequest {
  try {
    return messageOf(message, Date.now());
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const [first] = (error.members["errors"] ?? []) as { pointer: string; message: string }[];
    if (first === undefined) throw error;
    const place = first.pointer === "/text" ? "comment.text" : first.pointer.slice(1);
    throw new Problem(error.code, `Invalid value at '${place}': it ${first.message}.`);
  }
}

/** Attributes that nothing can be said of in the language are refused, as the original does. */
function checkLanguage(
  { attributes, drops, languages }: Pick<Asked, "attributes" | "drops" | "languages">,
  tag: string,
  support: Verdict["language"]["support"],
): void {
  if (drops) return;
  const refused = attributes.find(({ attribute }) => !isSupported(attribute, support));
  if (refused === undefined) return;
  const { name: attribute } = refused;
  const message = `Attribute ${attribute} does not support request languages: ${tag}`;
  const given = languages === undefined ? {} : { requestedLanguages: languages };
  throw perspectiveProblem("LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE", message, {
    languageNotSupportedByAttributeError: { ...given, detectedLanguages: [tag], attribute },
  });
}

function answerOf(asked: Asked, verdict: Verdict): AnalyzeAnswer {
  const { tag, source, support } = verdict.language;
  // Of a text that is in no language, such as an emoji, the scores are still worth having.
  const judged = source === "unknown" ? "full" : support;
  checkLanguage(asked, tag, judged);
  const scores = asked.attributes.flatMap((each) => {
    const value = shownScore(verdict.scores[each.attribute.category]);
    if (!isSupported(each.attribute, judged)) return [];
    if (each.threshold !== undefined && value < each.threshold) return [];
    return [[each.name, scoresOf(asked, verdict, each, value)] as const];
  });
  const { languages = [tag], clientToken } = asked;
  return {
    // As theirs: where no score is left, there is no map of them either.
    ...(scores.length === 0 ? {} : { attributeScores: Object.fromEntries(scores) }),
    languages,
    detectedLanguages: [tag],
    ...(clientToken === undefined ? {} : { clientToken }),
  };
}

/** Without spans of its own, or unasked, a score is that of the whole comment. */
function scoresOf(
  { comment, spans }: Asked,
  verdict: Verdict,
  { attribute }: AskedAttribute,
  value: number,
): AttributeScores {
  const found = spans
    ? verdict.spans.filter(({ category }) => category === attribute.category)
    : [];
  const whole = { begin: 0, end: comment.length, score: scoreOf(value) };
  const spanScores = found.map((span) => {
    const { start: begin, end } = comment.toSource(span);
    return { begin, end, score: scoreOf(shownScore(span.score)) };
  });
  return {
    spanScores: spanScores.length === 0 ? [whole] : spanScores,
    summaryScore: scoreOf(value),
  };
}

function scoreOf(value: number): Score {
  return { value, type: "PROBABILITY" };
}

function feedbackOf(body: Fields, tenant: string): Feedback {
  const { text } = commentOf(body);
  const suggested = objectOf(body, "attributeScores");
  if (suggested === undefined || Object.keys(suggested).length === 0) {
    throw invalidRequest("attribute_scores must not be empty.");
  }
  const scores: Record<string, number> = {};
  for (const [name, given] of Object.entries(suggested)) {
    const attribute = attributeOf(name);
    if (attribute === undefined) throw unknownAttribute(name);
    const value = suggestionOf(name, given);
    if (value !== undefined) scores[attribute.category] = value;
  }
  contextOf(body);
  return {
    tenant,
    text,
    language: languagesOf(body)?.tags[0],
    scores,
    clientToken: tokenOf(body),
    sessionId: textOf(body, "sessionId"),
    atMs: Date.now(),
  };
}

/** Of the whole comment; undefined: only parts of it were scored. */
function suggestionOf(name: string, given: unknown): number | undefined {
  if (!isObject(given)) throw invalidRequest(`attribute_scores.${name} must be an object.`);
  const summary = objectOf(given, "summaryScore");
  const value = summary === undefined ? undefined : fieldOf(summary, "value");
  if (value === undefined && Array.isArray(fieldOf(given, "spanScores"))) return undefined;
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  throw invalidRequest(`attribute_scores.${name} needs a summary_score.value from 0 to 1.`);
}
