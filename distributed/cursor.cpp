#include "distributed/cursor.h"

namespace winnow {

void Cursor::save(StateWriter& out) const {
  out.put_value("phase", std::int64_t{phase});
  out.put_value("ended", static_cast<std::uint8_t>(ended));
  out.put_value("step", step);
  out.put_value("batches", batches);
  out.put_value("skipped", skipped);
  out.put_value("updates", updates);
  out.put_value("bytes_sent", bytes_sent);
  out.put_value("bytes_dense", bytes_dense);
  out.put_value("again", static_cast<std::uint8_t>(again));
  out.put_value("sums.loss", sums.loss);
  out.put_value("sums.accuracy", sums.accuracy);
  out.put_value("sums.batches", sums.batches);
  out.put_value("test_loss", test_loss);
  out.put_value("seconds", seconds);
}

void Cursor::load(StateReader& in) {
  phase = static_cast<int>(in.get_value<std::int64_t>("phase"));
  ended = in.get_value<std::uint8_t>("ended") != 0;
  step = in.get_value<std::int64_t>("step");
  batches = in.get_value<std::int64_t>("batches");
  skipped = in.get_value<std::int64_t>("skipped");
  updates = in.get_value<std::int64_t>("updates");
  bytes_sent = in.get_value<std::int64_t>("bytes_sent");
  bytes_dense = in.get_value<std::int64_t>("bytes_dense");
  again = in.get_value<std::uint8_t>("again") != 0;
  sums.loss = in.get_value<double>("sums.loss");
  sums.accuracy = in.get_value<double>("sums.accuracy");
  sums.batches = in.get_value<std::int64_t>("sums.batches");
  test_loss = in.get_value<double>("test_loss");
  seconds = in.get_value<double>("seconds");
}

}  // namespace winnow
