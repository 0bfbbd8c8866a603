// SpillTarget: the contract of a place where a manager puts the bytes of tensors that nobody uses, to read them back later.
#ifndef COTENANT_SHARE_SPILL_HPP
#define COTENANT_SHARE_SPILL_HPP
#include <cstddef>
#include <string>

#include "cotenant/core/element.hpp"
#include "cotenant/core/shape.hpp"

namespace cotenant {

// What the bytes are, for a target that keeps them where people look. The bytes are those of a whole block: padding, and
// elements of other tensors on the same block, may follow or surround the described ones.
struct SpillInfo {
  std::string tensor;  // the name of the first tensor on the block
  DType dtype = DType::f32;
  Shape shape;
};

// Keys are made by the manager: letters, digits and '-', a new one for every content, never used again, different for
// every manager and process. All functions are called without any lock, from any thread, several at once for different keys,
// and must not call the manager.
class SpillTarget {
 public:
  virtual ~SpillTarget() = default;
  // Keeps the bytes until erase(). Where it throws (a full disk: IoError), the tensor stays in memory and nothing is lost.
  virtual void save(const std::string& key, const void* data, std::size_t bytes, const SpillInfo& info) = 0;
  // Puts the bytes of a key that was saved to `data`. Where it throws, whoever asked for the tensor gets the error.
  virtual void load(const std::string& key, void* data, std::size_t bytes) = 0;
  // The bytes of a key will not be asked for any more.
  virtual void erase(const std::string& key) noexcept = 0;
};

}  // namespace cotenant

#endif
