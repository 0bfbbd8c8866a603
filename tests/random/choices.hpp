// Choices: the draws that make a random case, kept, so that a case that fails can be made smaller by making its draws smaller.
#ifndef COTENANT_TESTS_RANDOM_CHOICES_HPP
#define COTENANT_TESTS_RANDOM_CHOICES_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace cotenant::test {

// Everything that a generator decides is one below(): what it makes of 0 is the simplest, and what comes first in a list is simpler than
// what follows. A record of draws that is too short goes on with 0, and a draw beyond its bound becomes the largest: any record is a case.
class Choices {
 public:
  explicit Choices(std::uint64_t seed) : random_(seed), replays_(false) {}
  explicit Choices(std::vector<std::uint32_t> record) : given_(std::move(record)), replays_(true) {}

  std::size_t below(std::size_t bound) {
    std::size_t drawn = 0;
    if (!replays_) drawn = static_cast<std::size_t>(random_() % bound);
    else if (made_.size() < given_.size()) drawn = std::min<std::size_t>(given_[made_.size()], bound - 1);
    made_.push_back(static_cast<std::uint32_t>(drawn));
    return drawn;
  }
  // False is the simpler one.
  bool chance(double probability) { return below(1000) >= 1000 - static_cast<std::size_t>(1000 * probability); }
  template <class T, std::size_t N> const T& one_of(const std::array<T, N>& list) { return list[below(N)]; }
  // For the many values of a tensor, which are one draw.
  std::mt19937 generator() { return std::mt19937(static_cast<std::uint32_t>(below(std::size_t{1} << 32))); }

  const std::vector<std::uint32_t>& record() const { return made_; }

 private:
  std::vector<std::uint32_t> given_, made_;
  std::mt19937_64 random_;
  bool replays_;
};

// The smallest record found that still fails, by trying 0 and ever larger parts of each draw, and by leaving the end out. `fails` is
// called at most `attempts` times.
template <class F> std::vector<std::uint32_t> smallest_failing(std::vector<std::uint32_t> record, std::size_t attempts, F fails) {
  const auto still = [&](std::vector<std::uint32_t> tried) {
    if (attempts == 0 || tried == record) return false;
    --attempts;
    if (!fails(tried)) return false;
    record = std::move(tried);
    return true;
  };
  for (bool smaller = true; smaller && attempts > 0;) {
    smaller = false;
    for (std::size_t kept = record.size() / 2; kept < record.size() && attempts > 0; kept = (kept + record.size() + 1) / 2)
      if (still({record.begin(), record.begin() + static_cast<std::ptrdiff_t>(kept)})) smaller = true;
    for (std::size_t i = 0; i < record.size() && attempts > 0; ++i)
      // What is taken off a draw: all of it, half, a quarter, …, 1.
      for (std::uint32_t less = record[i]; less > 0; less /= 2) {
        auto tried = record;
        tried[i] -= less;
        if (still(std::move(tried))) {
          smaller = true;
          break;
        }
      }
  }
  return record;
}

}  // namespace cotenant::test

#endif
