# brms: `compile` builds the model's Stan program, `sample` has the compiled program sample, and says how long that took.
# The line protocol is that of protocol.py; only base R writes the JSON.

given <- commandArgs(trailingOnly = TRUE)
option <- function(name) given[match(paste0("--", name), given) + 1]
answer <- function(text) {
  cat(text, "\n", sep = "")
  flush(stdout())
}
quoted <- function(text) paste0("\"", gsub("[\"\\\\[:cntrl:]]", " ", text), "\"")
now <- function() as.numeric(Sys.time())

start <- now()
loaded <- suppressPackageStartupMessages(require(brms, quietly = TRUE, warn.conflicts = FALSE))
import_s <- now() - start
if (!loaded) {
  answer("{\"missing\": \"brms\"}")
  quit(save = "no")
}
options(mc.cores = parallel::detectCores())
formula <- as.formula(option("formula"))
data <- read.csv(option("data"))
family <- option("family")

# a program of Stan's is compiled once for its text, so every compilation gets a text of its own
compiled <- NULL
compile <- function(seed) {
  comment <- stanvar(scode = sprintf("// build %d", seed), block = "functions")
  capture.output(model <- brm(formula, data, family, chains = 0, stanvars = comment), file = stderr())
  model
}
work <- function(mode, seed) {
  if (mode == "compile") {
    compiled <<- compile(seed)
    return("\"ready\": true")
  }
  if (mode != "sample") stop("no such mode: ", mode)
  chains <- as.integer(option("chains"))
  draws <- as.integer(option("draws"))
  start <- now()
  capture.output(
    found <- update(
      compiled, recompile = FALSE, chains = chains, warmup = 1000, iter = 1000 + draws, seed = seed, refresh = 0
    ),
    file = stderr()
  )
  sampling_s <- now() - start
  array <- posterior::as_draws_array(found)
  varied <- posterior::variables(array)
  varied <- varied[!varied %in% c("lp__", "lprior")]
  table <- posterior::summarise_draws(
    posterior::subset_draws(array, variable = varied), ess_bulk = posterior::ess_bulk, rhat = posterior::rhat
  )
  least <- which.min(table$ess_bulk)
  divergences <- sum(nuts_params(found, pars = "divergent__")$Value)
  fixed <- paste0("[", paste(sprintf("%.10g", fixef(found)[, "Estimate"]), collapse = ", "), "]")
  sprintf(
    "\"sampling_s\": %.6f, \"ess\": %.6g, \"ess_of\": %s, \"rhat\": %.6g, \"divergences\": %d, \"fixef\": %s",
    sampling_s, table$ess_bulk[least], quoted(table$variable[least]), max(table$rhat, na.rm = TRUE), divergences, fixed
  )
}

version <- as.character(packageVersion("brms"))
answer(sprintf("{\"ready\": true, \"import_s\": %.6f, \"version\": %s}", import_s, quoted(version)))
input <- file("stdin", "r")
while (length(line <- readLines(input, n = 1)) > 0) {
  words <- strsplit(trimws(line), " +")[[1]]
  reply <- tryCatch(
    {
      seed <- as.integer(words[3])
      if (words[2] == "sample" && is.null(compiled)) compiled <- compile(seed)
      start <- now()
      facts <- work(words[2], seed)
      sprintf("{\"seconds\": [%.6f], %s}", now() - start, facts)
    },
    error = function(problem) sprintf("{\"error\": %s}", quoted(conditionMessage(problem)))
  )
  answer(reply)
}
