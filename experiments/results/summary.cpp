#include "experiments/results/summary.h"

namespace winnow {

const std::vector<SummaryField>& summary_fields() {
  static const std::vector<SummaryField> fields = {
      {"final.test_acc", "1", "top-1 accuracy on the test split after the last step"},
      {"final.test_top5", "1", "top-5 accuracy on the test split after the last step (more than 5 classes)"},
      {"final.test_loss", "nat", "mean cross-entropy on the test split after the last step"},
      {"final.val_acc", "1", "top-1 accuracy on the validation split after the last step"},
      {"final.train_loss", "nat", "mean training loss over the last epoch"},
      {"best.test_acc", "1",
       "largest test accuracy over epochs in which the network was no denser than at the end (an optimistic figure, "
       "for comparison only)"},
      {"best.epoch", "epoch", "epoch of best.test_acc, counted from 1"},
      {"selected.test_acc", "1", "test accuracy at the one of these epochs with the best validation accuracy"},
      {"selected.epoch", "epoch", "that epoch, counted from 1"},
      {"params.total", "count", "parameters of the dense model: weights, biases, normalisation"},
      {"params.prunable", "count", "entries of the prunable set of the dense model"},
      {"params.kept", "count",
       "values that have to be stored and are not regenerated from a seed; of a prunable tensor without a mask only "
       "those that are not zero"},
      {"params.trained", "count", "values that the last training run updated"},
      {"density", "1", "non-zero share of the prunable set, counted on the weights the network computes with"},
      {"sparsity.prunable", "1", "1 - density"},
      {"sparsity.all", "1",
       "zero share of all parameters, biases and normalisation included, where zeros of a tensor that nobody prunes "
       "are values"},
      {"compression", "ratio", "params.total over the parameters that are not zeros in that sense (ShrinkBench)"},
      {"macs.dense", "MAC", "multiply-adds of one inference of the dense model, convolution and linear layers"},
      {"macs.sparse", "MAC", "the same with each layer's multiply-adds times its density"},
      {"speedup.theoretical", "ratio", "macs.dense over macs.sparse"},
      {"flops.train", "FLOP", "2 x multiply-adds of the whole training, at the densities of each step"},
      {"flops.train_ratio", "ratio", "flops.train over that of dense training for the planned number of steps"},
      {"search.flops_ratio", "ratio",
       "share of flops.train_ratio spent before the last training run (scoring, earlier rounds)"},
      {"stored.bits", "bit", "smallest stored form of all parameters, masks, indices and seeds included"},
      {"stored.bits_by_tensor", "bit", "the same with positions counted within each tensor"},
      {"stored.bits_as_one", "bit", "the same with one list of positions over all pruned or regenerated tensors"},
      {"stored.bits_dense", "bit", "32 bits for every parameter of the dense model"},
      {"stored.ratio", "ratio", "stored.bits_dense over stored.bits"},
      {"dim.max", "count", "largest number of prunable values trained at one time"},
      {"dim.union", "count", "number of prunable values ever trained"},
      {"dead_layers", "count",
       "prunable tensors without a non-zero entry; under a mask also without one that training updates"},
      {"stopped.epoch", "epoch", "of a trial that a rule stopped: how far it was trained"},
      {"steps", "count", "optimiser updates"},
      {"steps.skipped", "count", "batches that updated masks in place of weights"},
      {"seconds.total", "s", "wall time of the trial"},
      {"seconds.train", "s", "wall time in training steps"},
      {"seconds.eval", "s", "wall time in evaluation"},
      {"images_per_second", "1/s", "training throughput over all ranks, evaluation excluded"},
      {"bytes.sent", "byte", "gradient bytes each rank handed to the all-reduce"},
      {"bytes.sent_dense", "byte", "what that would have been with every gradient sent"},
      {"memory.peak", "byte", "planned memory of one rank: parameters, optimiser state, activations, batches"},
      {"ranks", "count", "ranks that trained the trial together"},
  };
  return fields;
}

}  // namespace winnow
