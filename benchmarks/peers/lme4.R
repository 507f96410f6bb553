# lme4 and lmerTest: `estimate` is lmer of lme4, or glmer for a response that is not Normal; `estimate_df` is lmer of
# lmerTest with its table of coefficients, `bootstrap` is bootMer on one lmer, `glmmTMB` is that package's fit.
# The line protocol is that of protocol.py; only base R writes the JSON.

given <- commandArgs(trailingOnly = TRUE)
option <- function(name) given[match(paste0("--", name), given) + 1]
answer <- function(text) {
  cat(text, "\n", sep = "")
  flush(stdout())
}
list_of <- function(values) paste0("[", paste(sprintf("%.10g", values), collapse = ", "), "]")
quoted <- function(text) paste0("\"", gsub("[\"\\\\[:cntrl:]]", " ", text), "\"")
now <- function() as.numeric(Sys.time())

start <- now()
loaded <- suppressPackageStartupMessages(require(lme4, quietly = TRUE, warn.conflicts = FALSE))
import_s <- now() - start
with_df <- requireNamespace("lmerTest", quietly = TRUE)
if (!loaded) {
  answer("{\"missing\": \"lme4\"}")
  quit(save = "no")
}
formula <- as.formula(option("formula"))
data <- read.csv(option("data"))
family <- option("family")
if (family == "bernoulli") family <- "binomial"

work <- function(mode) {
  if (mode == "estimate") {
    if (family == "gaussian") return(list(model = lme4::lmer(formula, data)))
    return(list(model = lme4::glmer(formula, data, family)))
  }
  if (mode == "glmmTMB") {
    return(list(model = glmmTMB::glmmTMB(formula, data, family)))
  }
  if (mode == "bootstrap") {
    return(list(draws = lme4::bootMer(boot_model, lme4::fixef, nsim = as.integer(option("refits")))))
  }
  if (mode != "estimate_df") stop("no such mode: ", mode)
  if (!with_df) stop("lmerTest is not installed")
  model <- lmerTest::lmer(formula, data)
  list(model = model, df = coef(summary(model))[, "df"])
}
facts <- function(found) {
  if (!is.null(found$draws)) {
    return(sprintf("\"refits\": %d, \"boot_sd\": %s", found$draws$R, list_of(apply(found$draws$t, 2, sd))))
  }
  df <- if (!is.null(found$df)) sprintf(", \"df\": %s", list_of(found$df)) else ""
  if (family != "gaussian") {
    beta <- if (inherits(found$model, "glmmTMB")) glmmTMB::fixef(found$model)$cond else fixef(found$model)
    return(sprintf("\"fixef\": %s, \"objective\": %.10g", list_of(beta), -2 * as.numeric(logLik(found$model))))
  }
  sprintf(
    "\"fixef\": %s, \"sigma\": %.10g, \"objective\": %.10g%s",
    list_of(fixef(found$model)), sigma(found$model), REMLcrit(found$model), df
  )
}

version <- as.character(packageVersion("lme4"))
answer(sprintf("{\"ready\": true, \"import_s\": %.6f, \"version\": %s}", import_s, quoted(version)))
input <- file("stdin", "r")
while (length(line <- readLines(input, n = 1)) > 0) {
  words <- strsplit(trimws(line), " +")[[1]]
  reply <- tryCatch(
    {
      seconds <- numeric(0)
      if (words[2] == "bootstrap") boot_model <- lme4::lmer(formula, data)
      for (call in seq_len(as.integer(words[4]))) {
        start <- now()
        found <- work(words[2])
        seconds <- c(seconds, now() - start)
      }
      sprintf("{\"seconds\": %s, %s}", list_of(seconds), facts(found))
    },
    error = function(problem) sprintf("{\"error\": %s}", quoted(conditionMessage(problem)))
  )
  answer(reply)
}
