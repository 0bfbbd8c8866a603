// StreamPoint: a point of a stream's timeline, for who waits for it: another stream, or the host before it reads a block.
#ifndef COTENANT_VULKAN_STREAM_POINT_HPP
#define COTENANT_VULKAN_STREAM_POINT_HPP
#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "cotenant/share/block.hpp"

namespace cotenant::vulkan {

class Stream;

// Of a stream that somebody else needs, and holds until it is reached.
struct StreamPoint {
  std::shared_ptr<Stream> stream;
  std::uint64_t value = 0;
};
// Of each stream only the latest point is kept: it comes after the others.
inline void add_point(std::vector<StreamPoint>& points, StreamPoint point) {
  for (StreamPoint& known : points)
    if (known.stream == point.stream) {
      known.value = std::max(known.value, point.value);
      return;
    }
  points.push_back(std::move(point));
}

namespace detail {
// The same as what a block waits for. A stream that is gone has waited for its work.
class TimelinePoint final : public Completion {
 public:
  TimelinePoint(std::weak_ptr<Stream> stream, std::uint64_t value) : stream_(std::move(stream)), value_(value) {}
  void wait() override;  // defined with Stream

 private:
  std::weak_ptr<Stream> stream_;
  std::uint64_t value_;
};
}  // namespace detail

}  // namespace cotenant::vulkan

#endif
