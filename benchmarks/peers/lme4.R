# lme4 and lmerTest: `estimate` is lmer of lme4, or glmer for a response that is not Normal; `estimate_df` is lmer of
# lmerTest with its table of coefficients, `bootstrap` is bootMer on one lmer, `glmmTMB` is that package's fit.

source("benchmarks/peers/protocol.R")
package <- load_package("lme4")
with_df <- requireNamespace("lmerTest", quietly = TRUE)
formula <- as.formula(option("formula"))
data <- read.csv(option("data"))
family <- option("family")
if (family == "bernoulli") family <- "binomial"

prepare <- function(mode, seed) if (mode == "bootstrap") boot_model <<- lme4::lmer(formula, data)
work <- function(mode, seed) {
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

serve(package, prepare, work, facts)
