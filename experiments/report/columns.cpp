#include "experiments/report/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/settings.h"
#include "experiments/report/trial_reader.h"
#include "experiments/results/summary.h"

namespace winnow {
namespace {

constexpr const char* kNone = "-";

std::string as_percent(double fraction, int digits = 2) {
  const std::string text = fmt::format("{:.{}f}", fraction * 100, digits);
  return text == "-0.00" ? "0.00" : text;
}

// Counts in the unit a reader expects: 431080 is 431.1k.
std::string scaled(double value) {
  if (std::fabs(value) >= 1e9) return fmt::format("{:.4g}G", value / 1e9);
  if (std::fabs(value) >= 1e6) return fmt::format("{:.4g}M", value / 1e6);
  if (std::fabs(value) >= 1e4) return fmt::format("{:.4g}k", value / 1e3);
  return fmt::format("{:.0f}", value);
}

std::string accuracy(const Sample& sample) {
  if (sample.count == 0) return kNone;
  std::string text = as_percent(sample.mean);
  if (sample.deviation) text += " ± " + as_percent(*sample.deviation);
  return text;
}

std::string half_width(const Sample& sample) {
  return sample.half_width ? "±" + as_percent(*sample.half_width) : kNone;
}

std::string gap(const ComparisonRow& row) {
  if (!row.gap) return kNone;
  std::string text = row.gap->mean > 0 ? "+" + as_percent(row.gap->mean) : as_percent(row.gap->mean);
  if (row.gap->half_width) text += " ±" + as_percent(*row.gap->half_width);
  if (!row.paired) return text + " u";
  return row.alone.empty() ? text : text + fmt::format(" ({} of {})", row.gap->count, row.test_acc.count);
}

// A mean over the row's trials, or "-".
auto mean_of(const char* name, std::function<std::string(double)> format) {
  return [name, format = std::move(format)](const ComparisonRow& row) {
    const auto found = row.means.find(name);
    return found == row.means.end() ? std::string(kNone) : format(found->second);
  };
}
std::string ratio(double value) { return fmt::format("{:.4g}", value); }
std::string in_percent(double value) { return as_percent(value); }

std::string replicate_count(const ComparisonRow& row) {
  std::string text = std::to_string(row.test_acc.count);
  if (row.diverged > 0) text += fmt::format(" (+{} div)", row.diverged);
  return text;
}

std::string short_id(const ComparisonRow& row) { return row.id.substr(0, 8); }

std::string exact(double value) { return fmt::format("{}", value); }
std::string exact(const std::optional<double>& value) { return value ? exact(*value) : ""; }

DataColumn mean_of(const SummaryField& field) {
  return {field.name, true, [name = field.name](const ComparisonRow& row) {
            const auto found = row.means.find(name);
            return found == row.means.end() ? std::string() : exact(found->second);
          }};
}

}  // namespace

const std::vector<ReportColumn>& report_columns() {
  static const std::vector<ReportColumn> columns = {
      {"method", "method", "", false, 0, [](const ComparisonRow& r) { return r.method; }, "method"},
      {"settings", "settings", "", false, 0, [](const ComparisonRow& r) { return r.settings; }, "settings"},
      {"density", "density", "as set, else as measured", true, 0, [](const ComparisonRow& r) { return r.density; },
       "density_set"},
      {"n", "n", "finished replicates (div: diverged, in no mean)", true, 0, replicate_count, "n"},
      {"test", "test %", "top-1 accuracy after the last step, mean ± sample standard deviation", true, 0,
       [](const ComparisonRow& r) { return accuracy(r.test_acc); }, "test_acc_mean"},
      {"interval", "95 %", "half-width of the 95 % interval of the mean (Student t, n >= 3)", true, 0,
       [](const ComparisonRow& r) { return half_width(r.test_acc); }, "test_acc_ci95"},
      {"gap", "gap",
       "to the dense baseline of the same group, points, paired by replicate with its 95 % "
       "half-width (u: unpaired; 2 of 3: the pairs that there are)",
       true, 1, gap, "gap_mean"},
      {"best", "best %",
       "best.test_acc: the largest test accuracy over epochs as sparse as the last, an optimistic figure", true, 3,
       [](const ComparisonRow& r) { return r.best_acc.count == 0 ? std::string(kNone) : as_percent(r.best_acc.mean); },
       "best.test_acc"},
      {"sparsity", "sparse %", "zeros among the prunable weights", true, 2, mean_of("sparsity.prunable", in_percent),
       "sparsity.prunable"},
      {"sparsity_all", "all %", "zeros among all parameters", true, 6, mean_of("sparsity.all", in_percent),
       "sparsity.all"},
      {"compression", "compr", "all parameters over non-zero ones", true, 4, mean_of("compression", ratio),
       "compression"},
      {"speedup", "speed-up", "theoretical: dense over sparse multiply-adds of an inference", true, 4,
       mean_of("speedup.theoretical", ratio), "speedup.theoretical"},
      {"train_flops", "train FLOPs", "of the whole training, relative to dense", true, 3,
       mean_of("flops.train_ratio", ratio), "flops.train_ratio"},
      {"search", "search", "part of that spent before the last training run", true, 7,
       mean_of("search.flops_ratio", ratio), "search.flops_ratio"},
      {"bits", "bits", "smallest stored form of all parameters, masks and seeds", true, 8,
       mean_of("stored.bits", scaled), "stored.bits"},
      {"stored_ratio", "stored x", "32 bits for every dense parameter over that", true, 3,
       mean_of("stored.ratio", ratio), "stored.ratio"},
      {"kept", "kept", "values that must be stored", true, 8, mean_of("params.kept", scaled), "params.kept"},
      {"trained", "trained", "values the last training run updated", true, 8, mean_of("params.trained", scaled),
       "params.trained"},
      {"top5", "top-5 %", "top-5 accuracy after the last step", true, kWideOnly, mean_of("final.test_top5", in_percent),
       "final.test_top5"},
      {"selected", "selected %", "test accuracy at the epoch with the best validation accuracy", true, kWideOnly,
       mean_of("selected.test_acc", in_percent), "selected.test_acc"},
      {"dim_max", "dim max", "most values trained at one time", true, kWideOnly, mean_of("dim.max", scaled), "dim.max"},
      {"dim_union", "dim union", "values ever trained", true, kWideOnly, mean_of("dim.union", scaled), "dim.union"},
      {"dead", "dead", "prunable tensors without an entry", true, kWideOnly, mean_of("dead_layers", ratio),
       "dead_layers"},
      {"seconds", "s", "wall time of a trial", true, kWideOnly, mean_of("seconds.total", ratio), "seconds.total"},
      {"id", "id", "start of the id of the row's trials", false, 2, short_id, "id"},
  };
  return columns;
}

const std::vector<DataColumn>& data_columns() {
  static const std::vector<DataColumn> columns = [] {
    std::vector<DataColumn> all = {
        {"method", false, [](const ComparisonRow& r) { return r.method; }},
        {"settings", false, [](const ComparisonRow& r) { return r.settings; }},
        {"density_set", false, [](const ComparisonRow& r) { return r.density; }},
        {"n", true, [](const ComparisonRow& r) { return std::to_string(r.test_acc.count); }},
        {"diverged", true, [](const ComparisonRow& r) { return std::to_string(r.diverged); }},
        {"test_acc_mean", true, [](const ComparisonRow& r) { return r.test_acc.count ? exact(r.test_acc.mean) : ""; }},
        {"test_acc_sd", true, [](const ComparisonRow& r) { return exact(r.test_acc.deviation); }},
        {"test_acc_ci95", true, [](const ComparisonRow& r) { return exact(r.test_acc.half_width); }},
        {"gap_mean", true, [](const ComparisonRow& r) { return r.gap ? exact(r.gap->mean) : ""; }},
        {"gap_ci95", true, [](const ComparisonRow& r) { return r.gap ? exact(r.gap->half_width) : ""; }},
        {"gap_pairs", true, [](const ComparisonRow& r) { return r.gap ? std::to_string(r.gap->count) : ""; }},
        {"gap_paired", true, [](const ComparisonRow& r) { return r.gap ? std::string(r.paired ? "1" : "0") : ""; }},
        {"best_test_acc_sd", true, [](const ComparisonRow& r) { return exact(r.best_acc.deviation); }},
    };
    for (const SummaryField& field : summary_fields()) {
      // Rows are of finished trials.
      if (std::string_view(field.name) != "stopped.epoch") all.push_back(mean_of(field));
    }
    all.push_back({"id", false, [](const ComparisonRow& r) { return r.id; }});
    all.push_back(
        {"replicates", false, [](const ComparisonRow& r) { return fmt::format("{}", fmt::join(r.replicates, " ")); }});
    return all;
  }();
  return columns;
}

const DataColumn& data_column(const std::string& key) {
  const auto shown = std::ranges::find(report_columns(), key, &ReportColumn::key);
  const std::string& wanted = shown == report_columns().end() ? key : shown->data;
  const auto found = std::ranges::find(data_columns(), wanted, &DataColumn::key);
  if (found != data_columns().end()) return *found;
  std::vector<std::string> known, all;
  for (const ReportColumn& column : report_columns()) known.push_back(column.key);
  all = known;
  for (const DataColumn& column : data_columns()) all.push_back(column.key);
  fail(ErrorKind::Usage, "no column '{}'{}; known: {}, and those of --csv", key, did_you_mean(key, all, "; "),
       fmt::join(known, ", "));
}

std::vector<ReportColumn> report_columns(const std::vector<std::string>& keys) {
  std::vector<ReportColumn> columns;
  for (const std::string& key : keys) {
    const DataColumn& data = data_column(key);
    const auto shown = std::ranges::find(report_columns(), key, &ReportColumn::key);
    if (shown != report_columns().end()) {
      columns.push_back(*shown);
      columns.back().importance = 0;
      continue;
    }
    columns.push_back({key, key, "", data.number, 0,
                       [&data](const ComparisonRow& row) {
                         const std::string text = data.cell(row);
                         if (text.empty()) return std::string(kNone);
                         return data.number ? ratio(number_of(text)) : text;
                       },
                       data.key});
  }
  return columns;
}

std::vector<DataColumn> data_columns(const std::vector<std::string>& keys) {
  std::vector<DataColumn> columns;
  for (const std::string& key : keys) columns.push_back(data_column(key));
  return columns;
}

}  // namespace winnow
