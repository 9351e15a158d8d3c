// Renders the field tables as docs/compatibility.md.

import type { FieldAnswer, MessageAnswers } from './answer.ts';
import { EXTENSION_ANSWERS } from './extensions.ts';
import { FIELD_FAMILIES } from './fields.ts';

const HEAD = `# Compatibility with Envoy's configuration

Made by \`node scripts/generate-compatibility.ts\` from \`proxy/config/fields/\`; do not edit it.

Every field of a message that is accepted has an answer. *Honoured*: acted upon, and set by the named test in
\`test/config/\`. *Harmless*: leaving it out makes no difference here, for the reason given. *Left out*: the
configuration starts with one warning per path, counted in \`outrigger.config.unsupported_field\`. *Refused*: ignoring it
would change security or routing, so the configuration is refused with the path. Messages below a field that is not
honoured are not listed, and an extension type that is not listed is refused, as Envoy refuses a type that was not
compiled in, unless the operator names it in \`OUTRIGGER_SKIP_TYPES\`.
`;

interface Counts {
  honoured: number;
  harmless: number;
  warn: number;
  reject: number;
}

export function renderCompatibility(): string {
  const out = [HEAD, renderCounts(), renderExtensions()];
  for (const family of FIELD_FAMILIES) {
    out.push(`## ${family.name}\n`);
    for (const [typeName, answers] of Object.entries(family.table)) out.push(renderMessage(typeName, answers));
  }
  return `${out.join('\n').trimEnd()}\n`;
}

function renderCounts(): string {
  const rows = FIELD_FAMILIES.map(({ name, table }) => {
    const tables = Object.values(table);
    return row(name, tables.length, count(tables));
  });
  const all = FIELD_FAMILIES.flatMap(({ table }) => Object.values(table));
  return `| family | messages | honoured | harmless | left out | refused |
|---|---:|---:|---:|---:|---:|
${rows.join('\n')}
${row('**all**', all.length, count(all))}
`;
}

function row(name: string, messages: number, counts: Counts): string {
  return `| ${name} | ${messages} | ${counts.honoured} | ${counts.harmless} | ${counts.warn} | ${counts.reject} |`;
}

function count(tables: readonly MessageAnswers[]): Counts {
  const counts: Counts = { honoured: 0, harmless: 0, warn: 0, reject: 0 };
  for (const answer of tables.flatMap((table) => Object.values(table))) {
    counts[answer.kind === 'unsupported' ? answer.how : answer.kind]++;
  }
  return counts;
}

function renderExtensions(): string {
  const rows = [...EXTENSION_ANSWERS].map(([typeName, answer]) => {
    const text = answer.kind === 'left_out' ? `left out: ${answer.text}` : EXTENSION_WORDS[answer.kind];
    return `| \`${typeName}\` | ${text} |`;
  });
  return `## Extension types\n\n| type | |\n|---|---|\n${rows.join('\n')}\n`;
}

const EXTENSION_WORDS = { used: 'honoured', inert: 'accepted while it does nothing' } as const;

function renderMessage(typeName: string, answers: MessageAnswers): string {
  const fields = Object.entries(answers);
  if (fields.length === 0) return `### ${typeName}\n\nHas no fields.\n`;
  const rows = fields.map(([field, answer]) => `| \`${field}\` | ${renderAnswer(answer)} |`);
  return `### ${typeName}\n\n| field | answer |\n|---|---|\n${rows.join('\n')}\n`;
}

function renderAnswer(answer: FieldAnswer): string {
  switch (answer.kind) {
    case 'honoured': {
      const except = Object.entries(answer.values).map(
        ([value, { how, text }]) => `; \`${value}\` ${how === 'warn' ? 'left out' : 'refused'}: ${text}`,
      );
      return `honoured (${answer.by})${except.join('')}`;
    }
    case 'harmless':
      return `harmless: ${answer.why} (${answer.source})`;
    default:
      return `${answer.how === 'warn' ? 'left out' : 'refused'}: ${answer.text}`;
  }
}
