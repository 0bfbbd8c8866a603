// A second translation unit that includes what the tests include: a function that is not inline fails to link, and one that
// differs between the two units is reported by the sanitizers' builds.
#include <cotenant/cotenant.hpp>
