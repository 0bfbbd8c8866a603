// ProvenEqual: parts of files that were compared byte by byte and found equal, so that opening them again costs no comparison.
#ifndef COTENANT_SHARE_PROVEN_EQUAL_HPP
#define COTENANT_SHARE_PROVEN_EQUAL_HPP
#include <cstddef>
#include <map>
#include <mutex>
#include <utility>

#include "cotenant/storage/file_place.hpp"

namespace cotenant::detail {

// Kept by what a file is and when it was last written to: an answer holds as long as both files are unchanged, which who asks must look at.
// Safe from any number of threads.
class ProvenEqual {
 public:
  // One for the process: managers come and go, files stay.
  static ProvenEqual& instance() {
    static ProvenEqual one;
    return one;
  }

  bool knows(const FilePlace& a, const FilePlace& b, std::size_t bytes) const {
    const std::lock_guard lock(mutex_);
    const auto first = contents_.find({a.key(), bytes}), second = contents_.find({b.key(), bytes});
    return first != contents_.end() && second != contents_.end() && first->second == second->second;
  }
  // The `bytes` bytes at both places are equal.
  void add(const FilePlace& a, const FilePlace& b, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    // Some hundred checkpoints of some hundred tensors, in 6 MB; what is forgotten is compared again.
    if (contents_.size() >= most) contents_.clear();
    const auto known = contents_.find({b.key(), bytes});
    const std::size_t content = known != contents_.end() ? known->second : next_++;
    contents_.insert_or_assign({a.key(), bytes}, content);
    contents_.insert_or_assign({b.key(), bytes}, content);
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return contents_.size();
  }
  static constexpr std::size_t most = 65536;

 private:
  using Key = std::pair<decltype(std::declval<const FilePlace&>().key()), std::size_t>;
  mutable std::mutex mutex_;
  std::map<Key, std::size_t> contents_;  // equal parts have equal numbers
  std::size_t next_ = 0;
};

}  // namespace cotenant::detail

#endif
