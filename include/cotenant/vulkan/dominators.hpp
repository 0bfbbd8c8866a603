// Dominators: which blocks of a function lie on every way to another.
#ifndef COTENANT_VULKAN_DOMINATORS_HPP
#define COTENANT_VULKAN_DOMINATORS_HPP
#include <cstddef>
#include <utility>
#include <vector>

namespace cotenant::vulkan {

// The tree of immediate dominators, by Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001).
class Dominators {
 public:
  // next[b]: the blocks to which block b may go on. Every way begins at block 0.
  explicit Dominators(const std::vector<std::vector<std::size_t>>& next) : above_(next.size(), none), begin_(next.size(), none), size_(next.size(), 1) {
    const std::vector<std::size_t> order = walk(next);
    std::vector<std::vector<std::size_t>> before(next.size());
    for (const std::size_t b : order) for (const std::size_t to : next[b]) before[to].push_back(b);
    above_[0] = 0;
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = 1; i < order.size(); ++i) {
        std::size_t common = none;
        for (const std::size_t from : before[order[i]]) if (above_[from] != none) common = common == none ? from : meet(common, from);
        if (above_[order[i]] != common) above_[order[i]] = common, changed = true;
      }
    }
    // Numbered so that a block's subtree is the range that begins with it.
    for (std::size_t i = order.size(); --i > 0;) size_[above_[order[i]]] += size_[order[i]];
    std::vector<std::size_t> free(next.size());
    for (const std::size_t b : order) {
      begin_[b] = b == 0 ? 0 : free[above_[b]];
      free[b] = begin_[b] + 1;
      if (b != 0) free[above_[b]] += size_[b];
    }
  }
  bool reached(std::size_t block) const { return begin_[block] != none; }
  // Whether every way to `block`, which is reached, comes by `other`; a block lies on every way to itself.
  bool always_before(std::size_t other, std::size_t block) const {
    return reached(other) && begin_[other] <= begin_[block] && begin_[block] < begin_[other] + size_[other];
  }

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  // What is reached, each block before those that only it leads to (reverse postorder); leaves in begin_ the place of each.
  std::vector<std::size_t> walk(const std::vector<std::vector<std::size_t>>& next) {
    std::vector<std::size_t> ended;
    std::vector<std::pair<std::size_t, std::size_t>> open{{0, 0}};  // block, how many of its next ones were looked at
    std::vector<bool> seen(next.size());
    seen[0] = true;
    while (!open.empty()) {
      auto& [block, looked] = open.back();
      if (looked == next[block].size()) {
        ended.push_back(block);
        open.pop_back();
      } else if (const std::size_t to = next[block][looked++]; !seen[to]) {
        seen[to] = true;
        open.emplace_back(to, 0);
      }
    }
    const std::vector<std::size_t> order(ended.rbegin(), ended.rend());
    for (std::size_t i = 0; i < order.size(); ++i) begin_[order[i]] = i;
    return order;
  }
  std::size_t meet(std::size_t a, std::size_t b) const {
    while (a != b) (begin_[a] > begin_[b] ? a : b) = above_[begin_[a] > begin_[b] ? a : b];
    return a;
  }
  std::vector<std::size_t> above_, begin_, size_;
};

}  // namespace cotenant::vulkan

#endif
