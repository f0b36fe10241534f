#include "experiments/results/linked_folders.h"

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/results/rung_claims.h"

namespace winnow {
namespace {

// A link to a file is in nobody's way: it is never written through, and removing it leaves the file.
void refuse_link(Files& files, const std::filesystem::path& folder) {
  if (!files.is_link(folder) || !files.is_folder(folder)) return;
  fail(ErrorKind::Input,
       "{}: is a link, and winnow would write and remove files where it leads: remove the link, or put a folder in its "
       "place (links are allowed for an output directory and for the folders at its top)",
       folder.string());
}

}  // namespace

void refuse_linked_folders(Files& files, const std::filesystem::path& out) {
  const Layout layout(out);
  for (const auto& top : {layout.trials(), layout.stopped(), layout.checkpoints(), layout.rungs()}) {
    for (const auto& name : files.list(top)) refuse_link(files, top / name);
  }
  for (const auto& rule : files.list(layout.rungs())) refuse_link(files, claims_folder(layout.rungs() / rule));
}

}  // namespace winnow
