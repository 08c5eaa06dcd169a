/** What a long proof is made of; scripts/prove.ts runs them by name. */

export type ProofParameters = Readonly<Record<string, { value: number; sentence: string }>>;

export type Proof<Parameters extends ProofParameters = ProofParameters> = {
  readonly sentence: string;
  /** By name, as `--name`: what is meant if nothing is said. All are whole numbers. */
  readonly parameters: Parameters;
  /** Throws if what it is to prove does not hold. `say`: a line for whoever watches. */
  readonly run: (
    values: Readonly<Record<keyof Parameters, number>>,
    say: (line: string) => void,
  ) => Promise<void>;
};

/** So that a proof's `run` knows the names of its own parameters. */
export function proof<Parameters extends ProofParameters>(it: Proof<Parameters>): Proof {
  return it as unknown as Proof;
}
