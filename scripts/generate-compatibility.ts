// Writes docs/compatibility.md from the field tables. Run: node scripts/generate-compatibility.ts

import { writeFileSync } from 'node:fs';
import { renderCompatibility } from '../proxy/config/fields/compatibility.ts';

writeFileSync(new URL('../docs/compatibility.md', import.meta.url), renderCompatibility());
