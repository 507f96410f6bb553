# Laplace fits of other families, links and structures by glmmTMB and ordinal: the source of more_glmm_cases.json.
# How to run, from this folder: Rscript --vanilla more_glmm.R   (ten seconds)
suppressPackageStartupMessages({
  library(glmmTMB)
  library(ordinal)
})
options(contrasts = c("contr.treatment", "contr.poly"))
read <- function(name) {
  table <- read.csv(file.path("data", name), stringsAsFactors = TRUE)
  if (name == "cbpp.csv") table$period <- factor(table$period)
  if (name == "wine.csv") {
    table$rating <- factor(table$rating, ordered = TRUE)
    for (key in c("judge", "bottle")) table[[key]] <- factor(table[[key]])
  }
  if (name == "sleepstudy.csv") table$Subject <- factor(table$Subject)
  table
}

# formula, data, what R calls the family, and what hier does; `further` are hier's formulas of the other parameters
spec <- function(data, formula, family, link, engine, ..., further = NULL) {
  list(data = data, formula = formula, family = family, link = link, engine = engine, further = further, ...)
}
cb <- "cbind(incidence, size - incidence) ~ period + (1 | herd)"
# no witness for the links cloglog and loglog: clmm of ordinal 2022.11-16 takes each for the other, clm does not
specs <- list(
  # glmer takes the expected information for links that are not canonical, glmmTMB and hier the observed one
  cbpp_cloglog = spec("cbpp.csv", cb, "binomial", "cloglog", "glmmTMB", r_family = binomial(link = "cloglog")),
  cbpp_beta_binomial = spec("cbpp.csv", cb, "beta_binomial", "logit", "glmmTMB", r_family = betabinomial()),
  contraception_quadratic = spec("Contraception.csv", "use ~ age + I(age^2) + urban + livch + (urban | district)",
                                 "binomial", "logit", "glmmTMB", r_family = binomial()),
  grouseticks_nbinom2 = spec("grouseticks.csv", "TICKS ~ YEAR + cHEIGHT + (1 | BROOD)", "nbinom2", "log",
                             "glmmTMB", r_family = nbinom2()),
  salamanders_nbinom1 = spec("Salamanders.csv", "count ~ mined + spp + (1 | site)", "nbinom1", "log", "glmmTMB",
                             r_family = nbinom1()),
  salamanders_zip_zi = spec("Salamanders.csv", "count ~ mined + spp + (1 | site)", "zero_inflated_poisson", "log",
                            "glmmTMB", r_family = poisson(), zi = "~ mined", further = list(zi = "~ mined")),
  salamanders_zinb = spec("Salamanders.csv", "count ~ mined + cover + (1 | site)", "zero_inflated_negbinomial", "log",
                          "glmmTMB", r_family = nbinom2(), zi = "~ 1"),
  salamanders_hurdle_poisson = spec("Salamanders.csv", "count ~ mined + spp + (1 | site)", "hurdle_poisson", "log",
                                    "glmmTMB", r_family = truncated_poisson(), zi = "~ mined",
                                    further = list(hu = "~ mined")),
  salamanders_hurdle_nbinom = spec("Salamanders.csv", "count ~ mined + DOY + (1 | site)", "hurdle_negbinomial", "log",
                                   "glmmTMB", r_family = truncated_nbinom2(), zi = "~ 1"),
  salamanders_crossed = spec("Salamanders.csv", "count ~ mined + (1 | site) + (1 | spp)", "nbinom2", "log", "glmmTMB",
                             r_family = nbinom2()),
  salamanders_dispersion = spec("Salamanders.csv", "count ~ mined + (1 | site)", "nbinom2", "log", "glmmTMB",
                                r_family = nbinom2(), disp = "~ DOY", further = list(shape = "~ DOY")),
  owls_poisson_slope = spec("Owls.csv",
                            "SiblingNegotiation ~ FoodTreatment * SexParent + offset(logBroodSize) + (FoodTreatment | Nest)",
                            "poisson", "log", "glmmTMB", r_family = poisson()),
  epil_sqrt = spec("epil.csv", "y ~ trt + V4 + (1 | subject)", "poisson", "sqrt", "glmmTMB",
                   r_family = poisson(link = "sqrt")),
  beta_precision = spec("sim_beta.csv", "y ~ x + (1 | g)", "beta", "logit", "glmmTMB", r_family = beta_family(),
                        disp = "~ x", further = list(phi = "~ x")),
  beta_probit = spec("sim_beta.csv", "y ~ x + (1 | g)", "beta", "probit", "glmmTMB",
                     r_family = beta_family(link = "probit")),
  gamma_inverse = spec("sim_gamma.csv", "y ~ 1 + (1 | g)", "gamma", "inverse", "glmmTMB",
                       r_family = Gamma(link = "inverse")),
  gaussian_spread = spec("sleepstudy.csv", "Reaction ~ Days + (Days | Subject)", "gaussian", "identity", "glmmTMB",
                         r_family = gaussian(), disp = "~ Days", further = list(sigma = "~ Days")),
  gaussian_log = spec("sleepstudy.csv", "Reaction ~ Days + (1 | Subject)", "gaussian", "log", "glmmTMB",
                      r_family = gaussian(link = "log")),
  wine_probit_two = spec("wine.csv", "rating ~ temp + contact + (1 | judge) + (1 | bottle)", "cumulative", "probit",
                         "clmm")
)

plain <- function(name) gsub("[()]", "", name)
fixed <- function(table) unname(lapply(seq_len(nrow(table)), function(i) {
  list(name = plain(rownames(table)[i]), estimate = table[i, 1], se = table[i, 2])
}))
spread <- function(varcorr) {
  pieces <- lapply(names(varcorr), function(group) {
    list(group = group, names = plain(colnames(varcorr[[group]])), sd = unname(attr(varcorr[[group]], "stddev")))
  })
  unname(pieces)
}
fit <- function(s, table) {
  formula <- as.formula(s$formula)
  if (s$engine == "clmm") {
    model <- clmm(formula, table, link = s$link, control = clmm.control(gradTol = 1e-9, maxIter = 500))
    own <- coef(summary(model))
    at <- rownames(own) %in% names(model$alpha)
    return(list(loglik = as.numeric(logLik(model)), df = attr(logLik(model), "df"), n = nobs(model),
                fixed = fixed(own[!at, , drop = FALSE]), cutpoints = fixed(own[at, , drop = FALSE]),
                random = spread(VarCorr(model))))
  }
  given <- list(formula, data = table, family = s$r_family,
                control = glmmTMBControl(optCtrl = list(iter.max = 1e4, eval.max = 1e4, rel.tol = 1e-15,
                                                        x.tol = 1e-12)))
  if (!is.null(s$zi)) given$ziformula <- as.formula(s$zi)
  if (!is.null(s$disp)) given$dispformula <- as.formula(s$disp)
  model <- do.call(glmmTMB, given)
  own <- coef(summary(model))
  found <- list(loglik = as.numeric(logLik(model)), df = attr(logLik(model), "df"), n = nobs(model),
                fixed = fixed(own$cond), random = spread(VarCorr(model)$cond))
  if (!is.null(own$zi)) found$zi <- fixed(own$zi)
  if (!is.null(s$disp)) found$disp <- fixed(own$disp) else found$sigma <- sigma(model)
  found
}
cases <- lapply(names(specs), function(name) {
  message(name)
  s <- specs[[name]]
  table <- read(s$data)
  expected <- suppressWarnings(suppressMessages(fit(s, table)))
  categorical <- lapply(Filter(is.factor, as.list(table)[all.vars(as.formula(s$formula))]),
                        function(column) list(levels = as.list(levels(column))))
  list(name = name, data = file.path("data", s$data), formula = s$formula, further = s$further, family = s$family,
       link = s$link, engine = s$engine, categorical = categorical, expected = expected)
})
versions <- sapply(c("glmmTMB", "ordinal"), function(name) as.character(packageVersion(name)))
jsonlite::write_json(
  list(source = sprintf("R %s, glmmTMB %s, ordinal %s", getRversion(), versions[1], versions[2]),
       cases = cases),
  "more_glmm_cases.json", auto_unbox = TRUE, digits = 12, pretty = TRUE, null = "null"
)
