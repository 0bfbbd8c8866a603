// Mirror: one tensor on the host and on a device, each side copied to the other only where it is behind.
#ifndef COTENANT_VULKAN_MIRROR_HPP
#define COTENANT_VULKAN_MIRROR_HPP
#include <cstddef>
#include <utility>

#include "cotenant/share/element_rows.hpp"
#include "cotenant/vulkan/backend_class.hpp"

namespace cotenant {

enum class SyncDirection { to_device, to_host, both };

// Whoever writes says so first: write_host(), write_device(). Reading brings the side that is read up to date. What the host
// has survives the device: host() fails with DeviceLost only where the device had newer elements; host_copy() never does.
// One thread at a time.
template <Element T> class Mirror {
 public:
  // A copy of the host's elements, row-major; the device gets them when it first needs them. Errors: InvalidArgument for a handle without a
  // tensor, OutOfMemory.
  Mirror(const SharedTensor<T>& host, Vulkan gpu) : gpu_(std::move(gpu)), newer_(Side::host) {
    check_not_empty("a mirror", host);
    host_ = empty<T>(host.shape());
    T* to = host_.mutable_view().data();
    const View<const T> elements = host.view();
    const Layout layout = elements.layout();
    detail::for_each_row(layout.shape, [&](const Shape& index) {
      const std::size_t count = detail::row_length(layout.shape);
      detail::gather_row(sizeof(T), elements.data() + detail::row_offset(layout, index), detail::row_stride(layout), count, to);
      to += count;
    });
  }

  const Shape& shape() const noexcept { return host_.shape(); }
  bool host_is_newer() const noexcept { return newer_ == Side::host; }
  bool device_is_newer() const noexcept { return newer_ == Side::device; }

  // For reading. Errors: OutOfMemory, DeviceLost.
  const SharedTensor<T>& host() {
    synchronize(SyncDirection::to_host);
    return host_;
  }
  const SharedTensor<T, Vulkan>& device() {
    synchronize(SyncDirection::to_device);
    return device_;
  }
  // What the host has, behind or not.
  const SharedTensor<T>& host_copy() const noexcept { return host_; }

  // For writing: the other side is behind from now on. What is not written keeps its value. Errors: OutOfMemory, DeviceLost.
  View<T> write_host() {
    synchronize(SyncDirection::to_host);
    newer_ = Side::host;
    return host_.mutable_view();
  }
  // For copy_into() and ops that write into a tensor, such as matmul_into().
  SharedTensor<T, Vulkan> write_device() {
    synchronize(SyncDirection::to_device);
    newer_ = Side::device;
    return device_;
  }

  // Brings the named side up to date, where the other is newer; `both` whichever is behind. Bytes move only then.
  // Errors: OutOfMemory, DeviceLost.
  void synchronize(SyncDirection direction = SyncDirection::both) {
    if (newer_ == Side::host && direction != SyncDirection::to_host) {
      if (!device_) device_ = empty<T>(host_.shape(), gpu_.result_storage());
      copy_into(device_, host_);
      newer_ = Side::neither;
      ++copies_;
    } else if (newer_ == Side::device && direction != SyncDirection::to_device) {
      // Beside the old ones, which stay where the device fails in between.
      SharedTensor<T> fresh = empty<T>(host_.shape());
      copy_into(fresh, device_);
      fresh.block()->wait();
      host_ = std::move(fresh);
      newer_ = Side::neither;
      ++copies_;
    }
  }
  // How often bytes moved.
  std::size_t copies() const noexcept { return copies_; }

 private:
  enum class Side { neither, host, device };
  SharedTensor<T> host_;
  Vulkan gpu_;
  SharedTensor<T, Vulkan> device_;
  Side newer_;
  std::size_t copies_ = 0;
};

}  // namespace cotenant

#endif
