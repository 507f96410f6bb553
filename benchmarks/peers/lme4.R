# lme4 and lmerTest: `estimate` is lmer of lme4, `estimate_df` is lmer of lmerTest with its table of coefficients.
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

fit <- function(mode) {
  if (mode == "estimate") {
    return(lme4::lmer(formula, data))
  }
  if (mode != "estimate_df") stop("no such mode: ", mode)
  if (!with_df) stop("lmerTest is not installed")
  model <- lmerTest::lmer(formula, data)
  coef(summary(model))
  model
}

version <- as.character(packageVersion("lme4"))
answer(sprintf("{\"ready\": true, \"import_s\": %.6f, \"version\": %s}", import_s, quoted(version)))
input <- file("stdin", "r")
while (length(line <- readLines(input, n = 1)) > 0) {
  words <- strsplit(trimws(line), " +")[[1]]
  reply <- tryCatch(
    {
      seconds <- numeric(0)
      for (call in seq_len(as.integer(words[4]))) {
        start <- now()
        model <- fit(words[2])
        seconds <- c(seconds, now() - start)
      }
      sprintf(
        "{\"seconds\": %s, \"fixef\": %s, \"sigma\": %.10g}",
        list_of(seconds), list_of(fixef(model)), sigma(model)
      )
    },
    error = function(problem) sprintf("{\"error\": %s}", quoted(conditionMessage(problem)))
  )
  answer(reply)
}
