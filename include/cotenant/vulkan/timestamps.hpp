// Timestamps: what the device itself says about when it reached points of a stream.
#ifndef COTENANT_VULKAN_TIMESTAMPS_HPP
#define COTENANT_VULKAN_TIMESTAMPS_HPP
#include <cstddef>
#include <cstdint>
#include <string>

#include "cotenant/vulkan/stream.hpp"

namespace cotenant::vulkan {

// `count` points. Marking one costs the device about a microsecond, so mark around many launches.
class Timestamps {
 public:
  // Errors: Unsupported where the device has no clock; OutOfMemory.
  Timestamps(Stream& stream, std::uint32_t count) : stream_(stream), count_(count) {
    if (stream.device().capabilities().timestamp_period == 0) raise<Unsupported>("the device '" + stream.device().capabilities().name + "' has no timestamps");
    VkQueryPoolCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = count;
    check(vkCreateQueryPool(stream.driver().handle(), &info, nullptr, &queries_), "making room for timestamps");
  }
  Timestamps(const Timestamps&) = delete;
  Timestamps& operator=(const Timestamps&) = delete;
  ~Timestamps() {
    stream_.finish_quietly();
    vkDestroyQueryPool(stream_.driver().handle(), queries_, nullptr);
  }

  // The device notes its time when everything queued before is done. A point may be marked again. Errors: OutOfMemory, DeviceLost.
  void mark(std::uint32_t point) {
    COTENANT_ASSERT(point < count_);
    stream_.record({}, [&](Batch& batch) {
      vkCmdResetQueryPool(batch.commands, queries_, point, 1);
      vkCmdWriteTimestamp(batch.commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queries_, point);
    });
  }
  // Seconds between two marked points; waits for the second. Errors: DeviceLost, OutOfMemory.
  double seconds(std::uint32_t from, std::uint32_t to) const {
    stream_.finish();
    return static_cast<double>(ticks(to) - ticks(from)) * stream_.device().capabilities().timestamp_period * 1e-9;
  }

 private:
  std::uint64_t ticks(std::uint32_t point) const {
    std::uint64_t result = 0;
    check(vkGetQueryPoolResults(stream_.driver().handle(), queries_, point, 1, sizeof result, &result, sizeof result,
        VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
          "reading a timestamp");
    return result;
  }

  Stream& stream_;
  std::uint32_t count_;
  VkQueryPool queries_ = VK_NULL_HANDLE;
};

}  // namespace cotenant::vulkan

#endif
