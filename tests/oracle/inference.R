# Tests, intervals and predictions by lme4, lmerTest, pbkrtest and emmeans: the source of inference.json.
# How to run, from this folder: Rscript --vanilla inference.R   (some minutes; needs jsonlite and numDeriv too)
#
# All fits use treatment contrasts and an optimiser that stops late, so that R's numbers carry its formulas and not its
# default tolerances. Factors have the levels that lmm_cases.json gives for the same file.

suppressPackageStartupMessages({
  library(lme4)
  library(lmerTest)
  library(pbkrtest)
  library(emmeans)
})
options(contrasts = c("contr.treatment", "contr.poly"), warn = 1)
emm_options(pbkrtest.limit = 1e5, lmerTest.limit = 1e5)
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-10, maxfun = 1e6))

cases <- jsonlite::fromJSON("lmm_cases.json", simplifyVector = FALSE)$cases
codings <- function(file) {
  own <- Filter(function(case) case$data == file, cases)
  all <- do.call(c, lapply(own, function(case) case$categorical))
  Filter(function(coding) !is.null(coding$levels), all[!duplicated(names(all))])
}
frame <- function(file) {
  data <- read.csv(file)
  for (name in names(codings(file))) {
    data[[name]] <- factor(as.character(data[[name]]), levels = unlist(codings(file)[[name]]$levels))
  }
  data
}

specs <- list(
  sleep_slope = list("data/sleepstudy.csv", "Reaction ~ Days + (Days | Subject)"),
  sleep_intercept = list("data/sleepstudy.csv", "Reaction ~ Days + (1 | Subject)"),
  sleep_weights = list("data/sleepstudy_wo.csv", "Reaction ~ Days + (Days | Subject)", weights = "w"),
  cake = list("data/cake.csv", "angle ~ recipe * temperature + (1 | recipe:replicate)"),
  oats = list("data/Oats.csv", "yield ~ Variety * nitro + (1 | Block/Variety)"),
  penicillin = list("data/Penicillin.csv", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
  machines_slope = list("data/Machines.csv", "score ~ Machine + (Machine | Worker)"),
  machines_nested = list("data/Machines.csv", "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)"),
  orthodont = list("data/Orthodont.csv", "distance ~ age * Sex + (age | Subject)"),
  scots = list("data/ScotsSec.csv", "attain ~ verbal * sex + (1 | primary) + (1 | second)")
)

fit <- function(file, formula, weights = NULL, reml = TRUE) {
  data <- frame(file)
  if (!is.null(weights)) data$.w <- data[[weights]]
  words <- list(as.formula(formula), data = data, REML = reml, control = tight)
  if (!is.null(weights)) words$weights <- data$.w
  model <- do.call(lmerTest::lmer, words)
  stopifnot(!isSingular(model))
  model
}

# Tables as column names and one row of numbers a line; jsonlite writes what R does not know as null.
rows <- function(table) {
  table <- as.matrix(as.data.frame(table))
  names <- trimws(rownames(table))
  list(columns = colnames(table), rows = setNames(lapply(seq_len(nrow(table)), function(i) unname(table[i, ])), names))
}
matrix_of <- function(table) unname(as.matrix(table))
DDF <- c(satterthwaite = "Satterthwaite", kenward_roger = "Kenward-Roger")

anova_tables <- function(model, ddf) {
  if (!length(attr(terms(model), "term.labels"))) return(NULL)
  types <- list(type2 = 2, type3 = 3)
  lapply(types, function(type) rows(anova(model, type = type, ddf = ddf)))
}

# pbkrtest 0.5 leaves prior weights out of its sums. Rows multiplied by the root of their weights make the same model
# without weights, and what it says of the coefficients holds for the weighted one.
rescaled <- function() {
  data <- frame("data/sleepstudy_wo.csv")
  data$root <- sqrt(data$w)
  data$slope <- data$root * data$Days
  data$scaled <- data$root * data$Reaction
  lmerTest::lmer(scaled ~ 0 + root + slope + (0 + root + slope | Subject), data, control = tight)
}
coefficients_by <- function(model, ddf) {
  table <- coef(summary(model, ddf = ddf))
  rownames(table) <- sub("^root$", "(Intercept)", sub("^slope$", "Days", rownames(table)))
  rows(table)
}

# Limits of the profile likelihood: where the deviance of the ML fit, minimised over all other parameters, is
# qchisq(0.95, 1) above its minimum. lme4's confint(method = "profile") interpolates between steps: it agrees to four or
# five digits, but its steps fail for orthodont and machines_slope. These are roots of the function itself.
# Rows and names are those of confint(oldNames = FALSE); a limit on the boundary of a parameter is the boundary.
profile_limits <- function(file, formula, weights = NULL) {
  data <- frame(file)
  words <- list(as.formula(formula), data = data, REML = FALSE)
  if (!is.null(weights)) words$weights <- data[[weights]]
  parsed <- do.call(lFormula, words)
  terms <- parsed$reTrms$cnms
  sizes <- lengths(terms)
  shapes <- lapply(sizes, function(k) lower.tri(diag(k), diag = TRUE))
  split_theta <- function(theta) {
    ends <- cumsum(sizes * (sizes + 1) / 2)
    Map(function(end, k, shape) {
      factor <- matrix(0, k, k)
      factor[shape] <- theta[(end - k * (k + 1) / 2 + 1):end]
      factor
    }, ends, sizes, shapes)
  }
  # the same covariance with a lower triangular factor, without dividing by a pivot
  triangular <- function(factor) {
    R <- qr.R(qr(t(factor), LAPACK = FALSE))
    t(R) %*% diag(ifelse(diag(R) < 0, -1, 1), nrow(R))
  }
  theta_of <- function(factors) {
    unlist(Map(function(factor, shape) triangular(factor)[shape], factors, shapes), use.names = FALSE)
  }
  minimum <- function(objective, start) {
    found <- start
    late <- list(rel.tol = 1e-14, x.tol = 1e-11, iter.max = 2000, eval.max = 5000)
    for (again in 1:2) found <- nlminb(found, objective, control = late)$par
    list(par = found, value = objective(found))
  }
  # -2 log-likelihood at theta and sigma; the best sigma where none is given; beta is profiled
  deviance_of <- function(own) {
    profiled <- do.call(mkLmerDevfun, own)
    inside <- environment(profiled)
    n <- nrow(own$fr)
    function(theta, sigma = NULL) {
      profiled(theta)
      squares <- inside$resp$wrss() + inside$pp$sqrL(1)
      variance <- if (is.null(sigma)) squares / n else sigma^2
      inside$pp$ldL2() + n * log(2 * pi * variance) + squares / variance
    }
  }
  deviance <- deviance_of(parsed)
  best <- minimum(deviance, parsed$reTrms$theta)
  inside <- environment(environment(deviance)$profiled)
  sigma <- sqrt((inside$resp$wrss() + inside$pp$sqrL(1)) / nrow(parsed$fr))
  beta <- inside$pp$beta(1)
  factors <- split_theta(best$par)

  # profiled deviance above its minimum, less the quantile, as a function of one parameter
  above <- function(least) least - best$value - qchisq(0.95, 1)
  of_sigma <- function(v) above(minimum(function(theta) deviance(theta, v), best$par)$value)
  of_sd <- function(term, i) function(v) {
    objective <- function(theta) deviance(theta, v / sqrt(sum(split_theta(theta)[[term]][i, ]^2)))
    if (v > 0) return(above(minimum(objective, best$par)$value))
    without <- function(theta) {
      factors <- split_theta(theta)
      factors[[term]][i, ] <- 0
      deviance(theta_of(factors))
    }
    above(minimum(without, best$par)$value)
  }
  of_cor <- function(term, i, j) function(v) {
    objective <- function(theta) {
      factors <- split_theta(theta)
      rows <- factors[[term]]
      first <- rows[i, ] / sqrt(sum(rows[i, ]^2))
      across <- rows[j, ] - sum(rows[j, ] * first) * first
      across <- across / sqrt(sum(across^2))
      factors[[term]][j, ] <- sqrt(sum(rows[j, ]^2)) * (v * first + sqrt(1 - v^2) * across)
      deviance(theta_of(factors))
    }
    above(minimum(objective, best$par)$value)
  }
  of_beta <- function(k) function(v) {
    own <- parsed
    own$fr[["(offset)"]] <- v * parsed$X[, k]
    own$X <- parsed$X[, -k, drop = FALSE]
    above(minimum(deviance_of(own), best$par)$value)
  }
  limit <- function(excess, estimate, step, bound) {
    inner <- estimate
    repeat {
      outer <- estimate + step
      if ((outer - bound) * sign(step) >= 0) {
        if (excess(bound) <= 0) return(bound)
        outer <- bound
        break
      }
      if (excess(outer) > 0) break
      inner <- outer
      step <- 1.6 * step
    }
    uniroot(excess, c(inner, outer), tol = 1e-9 * abs(outer - estimate))$root
  }
  limits <- function(excess, estimate, step, low = -Inf, high = Inf) {
    c(limit(excess, estimate, -step, low), limit(excess, estimate, step, high))
  }
  found <- list()
  for (term in seq_along(terms)) {
    factor <- sigma * factors[[term]]
    sd <- sqrt(rowSums(factor^2))
    cor <- tcrossprod(factor / sd)
    columns <- terms[[term]]
    for (i in seq_along(columns)) {
      for (j in seq_along(columns)) {
        if (j < i) next
        group <- names(terms)[term]
        if (i == j) {
          name <- sprintf("sd_%s|%s", columns[i], group)
          found[[name]] <- limits(of_sd(term, i), sd[i], sd[i] / 4, low = 0)
        } else {
          name <- sprintf("cor_%s.%s|%s", columns[j], columns[i], group)
          found[[name]] <- limits(of_cor(term, i, j), cor[j, i], 0.2, -1, 1)
        }
      }
    }
  }
  found$sigma <- limits(of_sigma, sigma, sigma / 8, low = 0)
  se <- sigma * sqrt(diag(inside$pp$unsc()))
  for (k in seq_along(beta)) found[[colnames(parsed$X)[k]]] <- limits(of_beta(k), beta[k], 1.5 * se[k])
  table <- do.call(rbind, found)
  colnames(table) <- c("2.5 %", "97.5 %")
  rows(table)
}

describe <- function(name) {
  spec <- specs[[name]]
  model <- do.call(fit, spec)
  ml <- refitML(model)
  n <- nobs(model)
  criteria <- function(object) {
    k <- attr(logLik(object), "df")
    list(
      loglik = as.numeric(logLik(object)), n_parameters = k, AIC = AIC(object), BIC = BIC(object),
      AICc = AIC(object) + 2 * k * (k + 1) / (n - k - 1)
    )
  }
  weighted <- !is.null(spec$weights)
  by_kr <- if (weighted) rescaled() else model
  small <- n < 1000  # pbkrtest inverts n x n matrices, many times over
  message(name)
  list(
    data = spec[[1]], formula = spec[[2]], weights = spec$weights, categorical = codings(spec[[1]]), n = n,
    objective = as.numeric(-2 * logLik(model)), objective_ml = as.numeric(-2 * logLik(ml)),
    fixed = I(names(fixef(model))), sigma = sigma(model),
    coefficients = c(
      list(satterthwaite = coefficients_by(model, "Satterthwaite")),
      if (small) list(kenward_roger = coefficients_by(by_kr, "Kenward-Roger"))
    ),
    vcov = matrix_of(vcov(model)), vcov_kenward_roger = if (small) matrix_of(vcovAdj(by_kr)),
    anova_satterthwaite = anova_tables(model, "Satterthwaite"),
    anova_kenward_roger = if (small && !weighted) anova_tables(model, "Kenward-Roger"),
    ranova = if (!weighted) rows(ranova(model)),
    confint_wald = rows(confint(model, method = "Wald", parm = "beta_")),
    confint_profile_ml = do.call(profile_limits, spec),
    criteria = list(reml = criteria(model), ml = criteria(ml))
  )
}

# Likelihood ratios of ML refits, and F-tests of the larger REML fit against the smaller one.
compared <- function(file, small, large, f_test) {
  both <- list(fit(file, small), fit(file, large))
  kr <- if (f_test) KRmodcomp(both[[2]], both[[1]])
  sat <- if (f_test) SATmodcomp(both[[2]], both[[1]])
  table <- suppressMessages(anova(both[[1]], both[[2]]))
  rownames(table) <- c("small", "large")
  unrefitted <- if (!f_test) {
    apart <- anova(both[[1]], both[[2]], refit = FALSE)
    rownames(apart) <- c("small", "large")
    rows(apart)
  }
  list(
    data = file, small = small, large = large, ml = rows(table), reml = unrefitted,
    kenward_roger = if (f_test) rows(kr$test), satterthwaite = if (f_test) rows(sat$test)
  )
}

means <- function(name, factor) {
  model <- do.call(fit, specs[[name]])
  by_ddf <- function(ddf) {
    found <- emmeans(model, as.formula(paste("~", factor)), lmer.df = tolower(ddf))
    numbers <- function(table, label) {
      table <- as.data.frame(table)
      kept <- table[sapply(table, is.numeric)]
      rownames(kept) <- as.character(table[[label]])
      rows(kept)
    }
    pairwise <- summary(pairs(found), infer = TRUE, adjust = "none")
    tukey <- summary(pairs(found), infer = TRUE, adjust = "tukey")
    list(
      means = numbers(summary(found), factor), pairs = numbers(pairwise, "contrast"),
      pairs_tukey = numbers(tukey, "contrast")
    )
  }
  list(model = name, factor = factor, at = "numeric covariates at their mean, other factors in equal parts") |>
    c(lapply(DDF, function(ddf) suppressMessages(by_ddf(ddf))))
}

# Nakagawa's R2 with Johnson's (2014) extension to slopes: fixed = var(X beta), n - 1 below; random = mean over the
# rows of z' Sigma z, summed over the terms; marginal = fixed / (fixed + random + sigma^2), and conditional has
# (fixed + random) above.
r_squared <- function(name) {
  model <- do.call(fit, specs[[name]])
  fixed <- var(as.vector(model.matrix(model) %*% fixef(model)))
  Z <- t(as.matrix(getME(model, "Zt")))
  L <- sigma(model) * t(as.matrix(getME(model, "Lambdat")))
  random <- sum((Z %*% L)^2) / nobs(model)
  total <- fixed + random + sigma(model)^2
  list(
    model = name, fixed = fixed, random = random, residual = sigma(model)^2,
    marginal = fixed / total, conditional = (fixed + random) / total
  )
}

predictions <- function(name, new, subset = NULL) {
  model <- do.call(fit, specs[[name]])
  fixed <- delete.response(terms(model))
  levels_of <- lapply(Filter(is.factor, model@frame[all.vars(fixed)]), levels)
  X <- model.matrix(fixed, model.frame(fixed, new, xlev = levels_of))
  re <- function(form) unname(predict(model, new, re.form = form, allow.new.levels = TRUE))
  found <- list(
    model = name, new = lapply(as.list(new), I), fixed_only = re(NA), all = re(NULL),
    se_fixed_only = unname(sqrt(diag(X %*% as.matrix(vcov(model)) %*% t(X))))
  )
  if (!is.null(subset)) found <- c(found, list(subset = subset, some = re(as.formula(subset))))
  found
}

with_version <- function(package) paste(package, packageVersion(package))
record <- list(
  source = paste0(
    "inference.R beside this file; ", R.version.string, ", ",
    paste(sapply(c("lme4", "lmerTest", "pbkrtest", "emmeans"), with_version), collapse = ", "),
    "; bobyqa with rhoend 1e-10; treatment contrasts (lmerTest recodes for type III itself)"
  ),
  notes = list(
    "rows are R's; `Pr(>|t|)` and the like are p-values; null is what R has no number for",
    "Satterthwaite: lmerTest's numerical derivatives, good to five or six digits",
    "sleep_weights: pbkrtest ignores weights, so its numbers are of the same model with rescaled rows, without anova",
    "confint_profile_ml: limits of the ML fit's profile likelihood, also for models given by REML, as lme4 has them"
  ),
  models = setNames(lapply(names(specs), describe), names(specs)),
  comparisons = list(
    sleep_slope = compared(
      "data/sleepstudy.csv", "Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (Days | Subject)", FALSE
    ),
    sleep_days = compared(
      "data/sleepstudy.csv", "Reaction ~ 1 + (Days | Subject)", "Reaction ~ Days + (Days | Subject)", TRUE
    ),
    machines = compared(
      "data/Machines.csv", "score ~ 1 + (1 | Worker) + (1 | Worker:Machine)",
      "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)", TRUE
    ),
    oats = compared(
      "data/Oats.csv", "yield ~ nitro + (1 | Block/Variety)", "yield ~ Variety * nitro + (1 | Block/Variety)", TRUE
    ),
    orthodont = compared(
      "data/Orthodont.csv", "distance ~ age + (age | Subject)", "distance ~ age * Sex + (age | Subject)", TRUE
    )
  ),
  means = list(means("cake", "recipe"), means("oats", "Variety"), means("machines_slope", "Machine"),
               means("machines_nested", "Machine")),
  r_squared = list(r_squared("sleep_slope"), r_squared("oats"), r_squared("penicillin")),
  predictions = list(
    predictions("sleep_slope", data.frame(Days = c(0, 4.5, 12, 3), Subject = c("308", "335", "372", "999"))),
    predictions(
      "oats",
      data.frame(
        Variety = c("Victory", "Golden Rain", "Marvellous", "Victory"), nitro = c(0, 0.3, 0.6, 0.2),
        Block = c("I", "IV", "VI", "VII")
      ),
      "~ (1 | Block)"
    ),
    predictions("penicillin", data.frame(plate = c("a", "g", "zz"), sample = c("A", "F", "B")), "~ (1 | sample)")
  )
)
json <- jsonlite::toJSON(record, auto_unbox = TRUE, digits = I(12), na = "null", null = "null", pretty = 1)
flat <- gregexpr("\\[[^][{}]*\\]", json)  # a row of numbers on one line
regmatches(json, flat) <- lapply(regmatches(json, flat), function(row) gsub("\\s*\n\\s*", " ", row))
writeLines(gsub("\\[ ([^][{}]*) \\]", "[\\1]", json), "inference.json")
