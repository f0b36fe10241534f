// A method for tests that adds losses: of all weights alone, or of the batch. Header only.
#pragma once

#include <string>
#include <vector>

#include "tests/training/small_trial.h"

namespace winnow::test {

class WithLosses final : public Method {
 public:
  enum class Of { Weights, Logits };  // the sum of squares; the mean over the batch of those of an image
  struct Term {
    Of of;
    double weight;
    bool trained;
  };
  explicit WithLosses(std::vector<Term> terms) : terms_(std::move(terms)) {}

  Touches touches() const override { return {}; }
  void edit(GraphEditor& editor) override {
    Graph& graph = editor.graph();
    const auto squares = [&](ValueId value) {
      return graph.emit1("reduce_sum", {graph.emit1("mul", {value, value}, {}, "squares")}, {}, "sum_of_squares");
    };
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      ValueId value = kNoValue;
      if (terms_[i].of == Of::Logits) {
        const auto rows = static_cast<double>(graph.value(editor.model().logits).shape[0]);
        value = graph.scaled(squares(editor.model().logits), 1 / rows, "mean");
      } else {
        for (const ParamSpec& spec : editor.model().params) {
          const ValueId one = squares(spec.value);
          value = value == kNoValue ? one : graph.emit1("add", {value, one}, {}, "sum");
        }
      }
      editor.add_loss(
          {.name = std::to_string(i), .value = value, .weight = terms_[i].weight, .trained = terms_[i].trained});
    }
  }

 private:
  std::vector<Term> terms_;
};

}  // namespace winnow::test
