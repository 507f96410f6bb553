# The line protocol of protocol.py for programs in R; only base R writes the JSON.

given <- commandArgs(trailingOnly = TRUE)
option <- function(name) given[match(paste0("--", name), given) + 1]
answer <- function(text) {
  cat(text, "\n", sep = "")
  flush(stdout())
}
list_of <- function(values) paste0("[", paste(sprintf("%.10g", values), collapse = ", "), "]")
quoted <- function(text) paste0("\"", gsub("[\"\\\\[:cntrl:]]", " ", text), "\"")
now <- function() as.numeric(Sys.time())

# Load a package under the clock; without it, say so and end.
load_package <- function(name) {
  start <- now()
  loaded <- suppressPackageStartupMessages(require(name, quietly = TRUE, warn.conflicts = FALSE, character.only = TRUE))
  if (!loaded) {
    answer(sprintf("{\"missing\": %s}", quoted(name)))
    quit(save = "no")
  }
  list(name = name, import_s = now() - start)
}

# Answer lines until the input ends. `prepare(mode, seed)` is not timed, `work(mode, seed)` is, once a call, and
# `facts` says in JSON what the last result shows.
serve <- function(package, prepare, work, facts) {
  version <- quoted(as.character(packageVersion(package$name)))
  answer(sprintf("{\"ready\": true, \"import_s\": %.6f, \"version\": %s}", package$import_s, version))
  input <- file("stdin", "r")
  while (length(line <- readLines(input, n = 1)) > 0) {
    words <- strsplit(trimws(line), " +")[[1]]
    reply <- tryCatch(
      {
        mode <- words[2]
        seed <- as.integer(words[3])
        seconds <- numeric(0)
        prepare(mode, seed)
        for (call in seq_len(as.integer(words[4]))) {
          start <- now()
          found <- work(mode, seed)
          seconds <- c(seconds, now() - start)
        }
        sprintf("{\"seconds\": %s, %s}", list_of(seconds), facts(found))
      },
      error = function(problem) sprintf("{\"error\": %s}", quoted(conditionMessage(problem)))
    )
    answer(reply)
  }
}
