/**
 * The commonest words of the languages that are judged: on a block list each would stop most of
 * what is said. Not a list for reading text; those of the guests are far longer.
 */
const WORDS = `
a about after all also am an and are as at back be because been but by can come could day did do
does even first for from get give go good had has have he her here hers him his how i if in into is
it its just know like look make man me more most my new no not now of off ok on one only or other
our out over people said say see she should so some take than thanks that the their them then there
these they thing think this those time to two up us use very want was way we well were what when
where which who why will with would yes you your
aber als auch auf aus bei bin bist das dem den der des die du ein eine er es für haben ich im in ist
ja kein mit nicht noch nur oder sein sich sie sind und von war was wie wir zu
au avec ce dans de des du elle en est et il je la le les leur mais ne nous on ou par pas pour qui
que sa se ses son sont sur tu un une vous
al como con de del el ella en es esta la las lo los más me mi muy no o para pero por que se si sin
su te tu un una y yo
che ci con da del della di e gli ho il in io la le lo ma mi nel non per più se si sono ti tu un una
aan de dat die een en er het hij ik in is je maar met niet of om op te van voor was wat we zijn
ale bo co czy do i ja jak jest na nie o od po się tak to w z za że
ao as com da de do dos e ela ele em eu isso mais mas me na não no nos o os para por que se sem um
uma você`;

const COMMON = new Set(WORDS.trim().split(/\s+/));

export function isCommonWord(word: string): boolean {
  return COMMON.has(word);
}
