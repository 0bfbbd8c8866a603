// DeviceEnds: what becomes of open devices when the program ends, and in children that are forked from it.
#ifndef COTENANT_VULKAN_DEVICE_ENDS_HPP
#define COTENANT_VULKAN_DEVICE_ENDS_HPP
#include <dlfcn.h>
#include <pthread.h>

#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace cotenant::vulkan {

class Device;

extern "C" void* __dso_handle __attribute__((visibility("hidden")));  // of the program or library that this code was linked into

// Work that nobody waits for keeps its tensors, and they keep their device: at the end of the program it is waited for. That comes before the
// clean-up of the driver, which is registered when the driver is loaded, and of layers, which may be at the first work: what is registered
// later is called earlier, so that a device registers its own end when it is opened and at its first work.
class DeviceEnds {
 public:
  static DeviceEnds& get() {
    static DeviceEnds& ends = *new DeviceEnds;  // never destroyed
    return ends;
  }
  void add(const std::shared_ptr<Device>& device) {
    {
      const std::lock_guard lock(mutex_);
      devices_.push_back(device);
    }
    stay_loaded();
    static_cast<void>(std::atexit([] { get().end_latest(); }));
  }

 private:
  DeviceEnds() {
    ::pthread_atfork([] { get().before_fork(); }, [] { get().after_fork(); }, [] { get().in_child(); });
  }
  // A library that is unloaded has its functions called then, which is not the program's end; and drivers call back into it.
  static void stay_loaded() noexcept {
    Dl_info where{};
    if (::dladdr(&__dso_handle, &where) == 0 || where.dli_fname == nullptr) return;
    if (void* const library = ::dlopen(where.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE)) ::dlclose(library);
  }
  // Each call belongs to one add(), the latest one first. Defined with Device (device_streams.hpp), as the others.
  void end_latest() noexcept;
  void before_fork();
  void after_fork() noexcept;
  void in_child() noexcept;

  std::mutex mutex_;
  std::vector<std::weak_ptr<Device>> devices_;
  std::vector<std::shared_ptr<Device>> forking_, left_;
};

}  // namespace cotenant::vulkan

#endif
