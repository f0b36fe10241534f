// The IDX format of MNIST and its successors: a big-endian header, then unsigned bytes.
// http://yann.lecun.com/exdb/mnist/ ; plain functions.
#pragma once

#include <filesystem>
#include <vector>

#include "experiments/data/image_data.h"
#include "experiments/data/raw_file.h"

namespace winnow {

// The four files of such a data set below `root`, in the order of the digest; each is the .gz if it
// exists, otherwise the plain name.
std::vector<std::filesystem::path> idx_files(const std::filesystem::path& root);

// Reads them: training images and labels, test images and labels. Images must be shape.height x
// shape.width, labels in [0, shape.classes), neither split empty. Anything else is Error{Input} naming the file.
ImageData read_idx(const std::vector<std::filesystem::path>& files, const DataShape& shape, DataReader& reader);

}  // namespace winnow
