/** Generated cases are the same in every run, so that a failure is somebody's change and not chance; RFO_SEED tries others. */
import fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env.RFO_SEED ?? 20221114) })
