# Analyses of variance and marginal means of unbalanced data by lmerTest, pbkrtest and emmeans: the source of anova.json.
# How to run, from this folder: Rscript --vanilla anova.R
suppressPackageStartupMessages({
  library(lme4)
  library(lmerTest)
  library(pbkrtest)
  library(emmeans)
})
options(contrasts = c("contr.treatment", "contr.poly"))
control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-10, maxfun = 1e6))
whole <- read.csv("data/sim_unbalanced.csv", stringsAsFactors = TRUE)
holed <- droplevels(whole[whole$hole == "no", ])

specs <- list(
  three_way = list("y ~ a * b * x + (1 | g)"),
  covariate_slope = list("y ~ a * x + b + (x | g)"),
  polynomial = list("y ~ a * poly(x, 2) + (1 | g)"),
  no_intercept = list("y ~ 0 + a + b + x + (1 | g)"),
  nested = list("y ~ a / b + x + (1 | g)"),
  interaction_alone = list("y ~ a:b + (1 | g)"),
  missing_cell = list("y ~ a * b + (1 | g)", holed = TRUE),
  missing_cell_covariate = list("y ~ a * b + a:x + (1 | g)", holed = TRUE),
  weighted = list("y ~ a * b + x + (1 | g)", weighted = TRUE),
  by_ml = list("y ~ a * b + x + (1 | g)", reml = FALSE)
)
fit <- function(formula, holed_rows = FALSE, weighted = FALSE, reml = TRUE) {
  data <- if (holed_rows) holed else whole
  words <- list(as.formula(formula), data = data, REML = reml, control = control)
  if (weighted) words$weights <- data$w
  suppressMessages(do.call(lmerTest::lmer, words))
}
fits <- lapply(specs, function(s) fit(s[[1]], isTRUE(s$holed), isTRUE(s$weighted), !isFALSE(s$reml)))
rows <- function(table) {
  table <- as.matrix(as.data.frame(table))
  list(columns = colnames(table), rows = setNames(lapply(seq_len(nrow(table)), function(i) unname(table[i, ])), rownames(table)))
}
anovas <- function(model, ddf) {
  lapply(list(type1 = 1, type2 = 2, type3 = 3), function(type) rows(anova(model, type = type, ddf = ddf)))
}
described <- lapply(names(specs), function(name) {
  spec <- specs[[name]]
  model <- fits[[name]]
  kr <- isREML(model) && !isTRUE(spec$weighted)  # pbkrtest leaves weights out of its sums
  found <- list(
    formula = spec[[1]], holed = isTRUE(spec$holed), weights = if (isTRUE(spec$weighted)) "w", reml = isREML(model),
    n = nobs(model), objective = as.numeric(-2 * logLik(model)), satterthwaite = anovas(model, "Satterthwaite")
  )
  if (kr) found$kenward_roger <- anovas(model, "Kenward-Roger")
  found
})

numbers <- function(table, keys) {
  table <- as.data.frame(table)
  labels <- do.call(paste, lapply(keys, function(k) as.character(table[[k]])))
  kept <- table[setdiff(names(table)[sapply(table, is.numeric)], keys)]
  rownames(kept) <- labels
  rows(kept)
}
means <- function(name, keys, at = NULL, adjust = "none", ...) {
  words <- list(fits[[name]], keys, lmer.df = "satterthwaite", data = if (isTRUE(specs[[name]]$holed)) holed else whole)
  if (!is.null(at)) words$at <- at
  found <- suppressMessages(do.call(emmeans, words))
  pairwise <- summary(pairs(found), infer = TRUE, adjust = adjust)
  list(model = name, keys = keys, at = at, adjust = adjust, means = numbers(summary(found), keys),
       pairs = numbers(pairwise, "contrast"))
}
logged <- fit("y ~ a * log(x) + b + (1 | g)")
specs$logged <- list("y ~ a * log(x) + b + (1 | g)")
fits$logged <- logged
record <- list(
  source = paste0(
    "anova.R beside this file; ", R.version.string, ", ",
    paste(sapply(c("lme4", "lmerTest", "pbkrtest", "emmeans"), function(p) paste(p, packageVersion(p))), collapse = ", ")
  ),
  models = setNames(described, names(specs)[names(specs) != "logged"]),
  logged = "y ~ a * log(x) + b + (1 | g)",
  means = list(
    means("three_way", "a"),
    means("three_way", c("a", "b"), adjust = "bonferroni"),
    means("polynomial", "a", at = list(x = 2), adjust = "holm"),
    means("logged", "a", adjust = "tukey"),
    means("logged", c("a", "x"), at = list(x = c(1, 4))),
    means("missing_cell", "a"),
    means("missing_cell", c("a", "b")),
    means("no_intercept", "b")
  )
)
writeLines(jsonlite::toJSON(record, auto_unbox = TRUE, digits = I(10), na = "null", null = "null", pretty = 1), "anova.json")
