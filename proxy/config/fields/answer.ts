// The form of the field tables: every field of a message that is accepted is honoured, harmless or unsupported.

/** What is done when a field is set. */
export type FieldAnswer =
  /** Acted upon; `by` is the test file that sets it, without folder and ending. Some values may not be supported. */
  | { readonly kind: 'honoured'; readonly by: string; readonly values: ValueAnswers }
  /** Leaving it out makes no difference here. */
  | { readonly kind: 'harmless'; readonly why: string; readonly source: string }
  /** `warn`: named once and left out. `reject`: the configuration is refused. */
  | { readonly kind: 'unsupported'; readonly how: 'warn' | 'reject'; readonly text: string };

/** Names of enum values that are not supported, each with a text. */
export type ValueAnswers = { readonly [value: string]: { readonly how: 'warn' | 'reject'; readonly text: string } };

/** Field name as in the `.proto` → answer. */
export type MessageAnswers = { readonly [field: string]: FieldAnswer };

/** Message type name → its fields. */
export type FieldTable = { readonly [typeName: string]: MessageAnswers };

type Row = readonly (readonly [field: string, answer: FieldAnswer])[];

const NO_VALUES: ValueAnswers = {};

function row(fields: string, answer: FieldAnswer): Row {
  return fields.split(' ').map((field) => [field, answer] as const);
}

/** Fields that are acted upon, set by the test `test/config/<by>.test.ts`. */
export function honoured(by: string, fields: string): Row {
  return row(fields, { kind: 'honoured', by, values: NO_VALUES });
}

/** One honoured enum field of which some values are not supported. */
export function honouredExcept(by: string, field: string, values: ValueAnswers): Row {
  return row(field, { kind: 'honoured', by, values });
}

/** Fields without effect here, with the reason and where it can be read. */
export function harmless(why: string, source: string, fields: string): Row {
  return row(fields, { kind: 'harmless', why, source });
}

/** Fields that are left out with a warning. */
export function warned(text: string, fields: string): Row {
  return row(fields, { kind: 'unsupported', how: 'warn', text });
}

/** Fields that make the configuration refused. The text says what to do. */
export function rejected(text: string, fields: string): Row {
  return row(fields, { kind: 'unsupported', how: 'reject', text });
}

/** All fields of one message. */
export function fields(...rows: readonly Row[]): MessageAnswers {
  const answers: { [field: string]: FieldAnswer } = {};
  for (const [field, answer] of rows.flat()) {
    if (field in answers) throw new Error(`two answers for ${field}`);
    answers[field] = answer;
  }
  return answers;
}
