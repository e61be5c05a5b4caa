"""From text to frozen values: strict YAML, schemas composed from kinds, host settings, jobs; not when to read again.

Two ways in, everything else serves them: `host.load_settings` (`config.yaml`) and `jobs.load_jobs` (job files).

| step | modules |
|---|---|
| a file's text becomes a value, each part with its place | `files`, `yaml`, `syntax` |
| what may stand there, composed from the installed kinds | `schema` of `host_schema` and `job_schema`, `kinds` |
| does it fit, and what it becomes | `checking` of `fitting`, `keywords`, `nodes`, `formats`, `written`, `converting` |
| what is wrong, in an admin's words | `strict`, `explain`, `wording`, `examples`, `nearest` |
| what no schema can say | `meaning`, `parameters`, `reserved`, `placeholders` |
| the result, and that a file changed | `settings`, `headgate.api.Job`, `watch` |
"""
