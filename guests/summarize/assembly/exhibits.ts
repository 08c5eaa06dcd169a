// Exhibits: which quote shows which terms. A quote keeps its text, not its terms, so the text is
// read again when somebody asks; explicit terms, which no text shows, are known by the hashes it
// kept.
import { alloc } from "../../sdk/assembly/arena";
import { NO_SLOT } from "../../sdk/assembly/sketches/space-saving";
import {
  forgetText, scratchBytes, TERM_RECORD_BYTES, tokenize,
} from "../../sdk/assembly/text/tokenize";
import { Quote, quoteAt, TEXT_BYTES_MAX } from "./quotes";
import { Ranking, Row } from "./ranking";
import { state, table } from "./state";

/** Of one quote: 160 bytes hold at most 80 words and 79 pairs, and some are explicit. */
const TERMS_MAX: u32 = 168;

/** The quotes of the window, each with the rows it shows. Lies in the arena. */
@unmanaged
export class Exhibits {
  count: u32;
  exhibits: u32;

  @inline
  at(index: u32): Exhibit {
    return changetype<Exhibit>(<usize>(this.exhibits + index * <u32>offsetof<Exhibit>()));
  }

  /** The newest quote with the term. */
  sampleOf(row: Row): Quote | null {
    let newest: Quote | null = null;
    for (let index: u32 = 0; index < this.count; index++) {
      const exhibit = this.at(index);
      if (!exhibit.shows(row)) continue;
      const quote = exhibit.quote;
      if (newest == null || quote.eventNumber > newest.eventNumber) newest = quote;
    }
    return newest;
  }
}

@unmanaged
export class Exhibit {
  quoteAddress: u32;
  rowCount: u32;
  /** u32[rowCount]: addresses of rows. */
  rows: u32;

  @inline
  get quote(): Quote {
    return changetype<Quote>(<usize>this.quoteAddress);
  }

  shows(row: Row): bool {
    for (let index: u32 = 0; index < this.rowCount; index++)
      if (load<u32>(this.rows + (index << 2)) == <u32>changetype<usize>(row)) return true;
    return false;
  }

  @inline
  rowAt(index: u32): Row {
    return changetype<Row>(<usize>load<u32>(this.rows + (index << 2)));
  }

  addSlot(ranking: Ranking, slot: u32): void {
    if (slot == NO_SLOT) return;
    const row = ranking.ofSlot(slot);
    if (row == 0 || this.shows(changetype<Row>(row))) return;
    store<u32>(this.rows + (this.rowCount << 2), <u32>row);
    this.rowCount += 1;
  }
}

export function findExhibits(ranking: Ranking): Exhibits {
  const capacity = state().quoteCapacity;
  const found = changetype<Exhibits>(alloc(offsetof<Exhibits>()));
  found.exhibits = <u32>alloc(capacity * <u32>offsetof<Exhibit>());
  const records = alloc(<usize>TERMS_MAX * TERM_RECORD_BYTES, 16);
  const scratch = alloc(scratchBytes(TEXT_BYTES_MAX, TERMS_MAX), 16);
  const rows = alloc(TERMS_MAX << 2, 4);
  for (let index: u32 = 0; index < capacity; index++) {
    const quote = quoteAt(index);
    if (quote.pane == 0) continue;
    const exhibit = found.at(found.count);
    found.count += 1;
    exhibit.quoteAddress = <u32>changetype<usize>(quote);
    exhibit.rows = <u32>rows;
    readTerms(exhibit, ranking, records, scratch);
    const kept = alloc(exhibit.rowCount << 2, 4);
    memory.copy(kept, rows, exhibit.rowCount << 2);
    exhibit.rows = <u32>kept;
  }
  forgetText();
  return found;
}

function readTerms(exhibit: Exhibit, ranking: Ranking, records: usize, scratch: usize): void {
  const quote = exhibit.quote;
  for (let index: u32 = 0; index < <u32>quote.termCount; index++)
    exhibit.addSlot(ranking, table().findHash(quote.termAt(index)));
  const room = TERMS_MAX - <u32>quote.termCount;
  const count = tokenize(quote.text, quote.textLen, records, room, scratch);
  for (let index: u32 = 0; index < count; index++) {
    const record = records + <usize>index * TERM_RECORD_BYTES;
    const slot = table().find(load<u32>(record, 8), load<u32>(record), load<u32>(record, 4));
    exhibit.addSlot(ranking, slot);
  }
}
