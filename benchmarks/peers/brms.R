# brms: `compile` builds the model's Stan program, `sample` has the compiled program sample.

source("benchmarks/peers/protocol.R")
package <- load_package("brms")
options(mc.cores = parallel::detectCores())
formula <- as.formula(option("formula"))
data <- read.csv(option("data"))
family <- option("family")

# a program of Stan's is compiled once for its text, so every compilation gets a text of its own
compile <- function(seed) {
  comment <- stanvar(scode = sprintf("// build %d", seed), block = "functions")
  capture.output(model <- brm(formula, data, family, chains = 0, stanvars = comment), file = stderr())
  model
}
compiled <- NULL
prepare <- function(mode, seed) if (mode == "sample" && is.null(compiled)) compiled <<- compile(seed)
work <- function(mode, seed) {
  if (mode == "compile") {
    compiled <<- compile(seed)
    return(NULL)
  }
  if (mode != "sample") stop("no such mode: ", mode)
  chains <- as.integer(option("chains"))
  iterations <- 1000 + as.integer(option("draws"))
  start <- now()
  capture.output(
    fit <- update(
      compiled, recompile = FALSE, chains = chains, warmup = 1000, iter = iterations, seed = seed, refresh = 0
    ),
    file = stderr()
  )
  list(fit = fit, sampling_s = now() - start)
}
facts <- function(found) {
  if (is.null(found)) return("\"compiled\": true")
  draws <- posterior::as_draws_array(found$fit)
  draws <- posterior::subset_draws(draws, variable = setdiff(posterior::variables(draws), c("lp__", "lprior")))
  table <- posterior::summarise_draws(draws, ess_bulk = posterior::ess_bulk, rhat = posterior::rhat)
  least <- which.min(table$ess_bulk)
  divergences <- sum(nuts_params(found$fit, pars = "divergent__")$Value)
  sprintf(
    "\"sampling_s\": %.6f, \"ess\": %.6g, \"ess_of\": %s, \"rhat\": %.6g, \"divergences\": %.0f, \"fixef\": %s",
    found$sampling_s, table$ess_bulk[least], quoted(table$variable[least]), max(table$rhat, na.rm = TRUE), divergences,
    list_of(fixef(found$fit)[, "Estimate"])
  )
}

serve(package, prepare, work, facts)
