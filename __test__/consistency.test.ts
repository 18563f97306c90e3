// Internal consistency: money that only moves between accounts adds up to zero, in every change that a query
// gives, however many operators lie between the transfer and the total.

import test from 'ava'
import type { Change, Velostream } from '../index.js'
import { Choices } from './differential/choices.js'
import { collected, opened } from './support.js'

const SEED = 20
const ACCOUNTS = 12
const TRANSFERS = 600

const definitions = `
CREATE TABLE transfers (id INT PRIMARY KEY, payer INT, payee INT, amount DECIMAL(10, 2));
CREATE VIEW entries AS
  SELECT payer AS account, -amount AS amount FROM transfers UNION ALL SELECT payee, amount FROM transfers;
CREATE TABLE balances AS SELECT account, SUM(amount) AS balance FROM entries GROUP BY account;
CREATE TABLE credits AS SELECT payee AS account, SUM(amount) AS amount FROM transfers GROUP BY payee;
CREATE TABLE debits AS SELECT payer AS account, SUM(amount) AS amount FROM transfers GROUP BY payer`

/** Each gives one row, which is to say zero as soon as it is there. */
const totals: Record<string, string> = {
  'the total over balances': 'SELECT SUM(balance) AS total FROM balances',
  'the total over a join of two views': `SELECT SUM(COALESCE(c.amount, 0.00) - COALESCE(d.amount, 0.00)) AS total
    FROM credits c FULL JOIN debits d ON c.account = d.account`,
  'the balances beside those of the join': `SELECT SUM(b.balance - COALESCE(c.amount, 0.00) + COALESCE(d.amount, 0.00)) AS total
    FROM balances b LEFT JOIN credits c ON b.account = c.account LEFT JOIN debits d ON b.account = d.account`,
}

type Step = { op: 'put' | 'delete'; row: { id: number; payer?: number; payee?: number; amount?: string } }

/** Transfers, some of which are corrected and some taken back. */
function transfers(): Step[] {
  const choices = Choices.fromSeed(SEED)
  return Array.from({ length: TRANSFERS }, (_, at) => {
    const id = choices.chance(30) ? choices.below(at + 1) : at
    if (at > ACCOUNTS && choices.chance(10)) return { op: 'delete', row: { id } }
    const [payer, payee] = [choices.below(ACCOUNTS), choices.below(ACCOUNTS)]
    const amount = (choices.between(1, 100_000) / 100).toFixed(2)
    return { op: 'put', row: { id, payer, payee, amount } }
  })
}

async function defined(db: Velostream): Promise<void> {
  await db.exec(definitions)
}

/** The values that a single row's change log goes through. */
function shown(changes: Change<{ total: string | null }>[]): (string | null)[] {
  return changes.filter(({ op }) => op !== 'delete').map(({ row }) => row.total)
}

for (const [name, sql] of Object.entries(totals)) {
  test(`${name} is zero in every change`, async (t) => {
    const db = await opened(t)
    await defined(db)
    const processor = db.processor<{ total: string | null }>(sql)
    const changes = transfers().flatMap(({ op, row }) =>
      op === 'delete' ? processor.delete('transfers', row) : processor.process('transfers', row),
    )
    // Zero it is from the first transfer on, so that nothing is left to change.
    t.deepEqual(shown(changes), ['0.00'])
  })

  test(`${name} is zero in every change of running queries`, async (t) => {
    const db = await opened(t)
    await defined(db)
    const changes = collected(db.query<{ total: string | null }>(sql))
    for (const { op, row } of transfers()) {
      await (op === 'delete' ? db.delete('transfers', row) : db.insert('transfers', row))
    }
    await db.flush()
    t.deepEqual(shown(changes), ['0.00'])
  })
}
